"""The client that waits in its thread. Made by sdk/generate.py from openapi/openapi.json; do not edit."""
