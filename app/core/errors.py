"""Every error of the domain, as one tree. Imports nothing; HTTP statuses are given in `app.api.problems`.

MemoryServiceError
├── NotFound
│   ├── UnknownBank · UnknownMemory · UnknownTurn · UnknownIngestion · UnknownAnswer
├── Conflict
│   ├── TurnConflict         the same external id with another content
│   ├── StaleMemory          a memory changed between reading and writing
│   └── NothingToRetry       the ingestion has no failed turn
├── InvalidInput             out of bounds, with the bound
├── Unauthenticated          no key, or one that is not known
├── EmbeddingMismatch        rows were embedded by another model
├── Overloaded               a bounded queue is full
└── ModelError               a model server did not give a usable reply
    ├── ModelUnreachable · ModelTimedOut · ModelOverloaded     a retry can help
    ├── ModelRefused         the server rejects the request itself
    ├── ReplyCutOff          the reply reached the length limit
    └── BrokenReply          the reply is not what the schema says
"""

from __future__ import annotations


class MemoryServiceError(Exception):
    """Base of all; the class docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class NotFound(MemoryServiceError):
    """There is no such thing."""

    noun = "resource"

    def __init__(self, key: object) -> None:
        self.key = str(key)
        super().__init__(f"There is no {self.noun} {self.key!r}.")


class UnknownBank(NotFound):
    """There is no such bank."""

    noun = "bank"


class UnknownMemory(NotFound):
    """There is no such memory in this bank."""

    noun = "memory"


class UnknownTurn(NotFound):
    """There is no such turn in this bank."""

    noun = "turn"


class UnknownIngestion(NotFound):
    """There is no such ingestion in this bank."""

    noun = "ingestion"


class UnknownAnswer(NotFound):
    """There is no such answer in this bank."""

    noun = "answer"


class Conflict(MemoryServiceError):
    """The request contradicts what is stored."""


class TurnConflict(Conflict):
    """A turn with this external id is stored with another content."""

    def __init__(self, external_id: str, index: int) -> None:
        self.external_id, self.index = external_id, index
        super().__init__(f"turns.{index}: a turn with this external_id is stored with another content.")


class StaleMemory(Conflict):
    """A memory changed between reading and writing."""

    def __init__(self, memory_id: object) -> None:
        self.memory_id = str(memory_id)
        super().__init__(f"The memory {self.memory_id} changed since it was read.")


class NothingToRetry(Conflict):
    """The ingestion has no failed turn."""


class InvalidInput(MemoryServiceError, ValueError):
    """The input is out of bounds."""


class Unauthenticated(MemoryServiceError):
    """A valid key is required: send `Authorization: Bearer <key>`."""


class EmbeddingMismatch(MemoryServiceError):
    """Memories were embedded by another model than the one configured."""

    def __init__(self, stored: str, configured: str) -> None:
        self.stored, self.configured = stored, configured
        super().__init__(
            f"Memories in the database were embedded by {stored}, but the service is configured for {configured}. "
            "Configure the former, or use another database."
        )


class Overloaded(MemoryServiceError):
    """The service has as much work as it can hold; try again later."""


class ModelError(MemoryServiceError):
    """A model server did not give a usable reply."""

    retryable = False


class ModelUnreachable(ModelError):
    """The model server cannot be reached."""

    retryable = True


class ModelTimedOut(ModelError):
    """The model server did not answer in time."""

    retryable = True


class ModelOverloaded(ModelError):
    """The model server is overloaded or failed inside."""

    retryable = True


class ModelRefused(ModelError):
    """The model server refused the request."""


class ReplyCutOff(ModelError):
    """The reply was cut off at the length limit."""


class BrokenReply(ModelError):
    """The reply does not follow the schema that was asked for."""
