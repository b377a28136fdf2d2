"""Client of Memory-R1: `MemoryR1` waits in its thread, `AsyncMemoryR1` does not.

Every operation of the API is a function of `memory_r1_client.generated.api`, which takes either as its `client`.
"""

from __future__ import annotations

from memory_r1_client import problems
from memory_r1_client.aio.bank import AsyncBank
from memory_r1_client.aio.client import AsyncMemoryR1
from memory_r1_client.errors import (
    IngestionFailed,
    MemoryR1Error,
    ProblemError,
    ServiceUnreachable,
    StillWaiting,
    StreamBroken,
    TimedOut,
)
from memory_r1_client.generated import models
from memory_r1_client.sending import Retries
from memory_r1_client.sync.bank import Bank
from memory_r1_client.sync.client import MemoryR1
from memory_r1_client.turns import turn_of

__all__ = [
    "AsyncBank",
    "AsyncMemoryR1",
    "Bank",
    "IngestionFailed",
    "MemoryR1",
    "MemoryR1Error",
    "ProblemError",
    "Retries",
    "ServiceUnreachable",
    "StillWaiting",
    "StreamBroken",
    "TimedOut",
    "models",
    "problems",
    "turn_of",
]
