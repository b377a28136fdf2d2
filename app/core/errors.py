"""Every error of the domain, as one tree. Imports nothing of ours; HTTP statuses are given in `app.api.problems`.

MemoryServiceError
├── NotFound
│   ├── UnknownBank · UnknownMemory · UnknownTurn · UnknownIngestion · UnknownAnswer · UnknownOperation · UnknownKey
│   ├── UnknownWebhook · UnknownDelivery · UnknownErasure · UnknownPolicy
├── Conflict
│   ├── TurnConflict         the same external id with another content
│   ├── IdempotencyConflict  the same Idempotency-Key with another request
│   ├── StaleMemory          a memory changed between reading and writing
│   ├── NothingToRetry       the ingestion has no failed turn
│   ├── UndoConflict         later changes stand in the way; names them
│   ├── NothingToUndo        the operation changed nothing, or was undone
│   ├── IngestionUnderWay    turns of the ingestion are still being worked on
│   ├── ErasedMeanwhile      what an answer stands on was erased while it was made
│   └── BankExists           a bank of that name is there already
├── PreconditionFailed       `If-Match` names another version
├── InvalidInput             out of bounds, with the bound
│   └── UnfitPolicy          a policy that cannot be served here, or is asked otherwise than it was trained
├── Unauthenticated          no key, or one that is not known
├── Forbidden                the key's scope does not allow it
├── EmbeddingMismatch        rows were embedded by another model
├── Overloaded               a bounded queue is full
│   ├── RateLimited          the key made too many requests
│   └── QuotaExceeded        the key used up its day
└── ModelError               a model server did not give a usable reply
    ├── ModelUnreachable · ModelTimedOut · ModelOverloaded     a retry can help
    ├── ModelRefused         the server rejects the request itself
    ├── ReplyCutOff          the reply reached the length limit
    └── BrokenReply          the reply is not what the schema says
"""

from __future__ import annotations

from collections.abc import Sequence


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


class UnknownOperation(NotFound):
    """There is no such operation in this bank's log."""

    noun = "operation"


class UnknownKey(NotFound):
    """There is no such key."""

    noun = "key"


class UnknownWebhook(NotFound):
    """There is no such webhook."""

    noun = "webhook"


class UnknownDelivery(NotFound):
    """There is no such delivery of this webhook."""

    noun = "delivery"


class UnknownErasure(NotFound):
    """There is no receipt with this digest."""

    noun = "receipt"


class UnknownPolicy(NotFound):
    """There is no such policy."""

    noun = "policy"


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


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was used for another request."""


class UndoConflict(Conflict):
    """Later changes stand in the way of undoing this."""

    def __init__(self, operations: Sequence[int]) -> None:
        self.operations = list(operations)
        super().__init__(
            f"Later changes stand in the way: operations {', '.join(map(str, self.operations))}. Undo those first."
        )


class NothingToUndo(Conflict):
    """The operation changed nothing, or is undone already."""


class IngestionUnderWay(Conflict):
    """Turns of the ingestion are still being worked on; wait for its end."""


class ErasedMeanwhile(Conflict):
    """What the answer stands on was erased while it was made; ask again."""


class BankExists(Conflict):
    """There is a bank of this name already."""


class PreconditionFailed(MemoryServiceError):
    """The memory is not at the version that `If-Match` names."""


class InvalidInput(MemoryServiceError, ValueError):
    """The input is out of bounds."""


class UnfitPolicy(InvalidInput):
    """The policy cannot be served here."""


class Unauthenticated(MemoryServiceError):
    """A valid key is required: send `Authorization: Bearer <key>`."""


class Forbidden(MemoryServiceError):
    """The key's scope does not allow this."""


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


class RateLimited(Overloaded):
    """The key made too many requests."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__()


class QuotaExceeded(Overloaded):
    """The key has used up what it may use in a day."""

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


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
