"""The client without waiting threads; `memory_r1_client.sync` is made from it."""
