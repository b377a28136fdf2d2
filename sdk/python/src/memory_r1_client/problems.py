"""A class for each type of problem that the service answers with.

Made by sdk/generate.py from openapi/openapi.json; do not edit.
"""

from __future__ import annotations

from memory_r1_client.errors import ProblemError


class BankBusy(ProblemError):
    """503: Another request is writing to the same bank; try again."""

    slug = "bank-busy"


class BodyTooLarge(ProblemError):
    """413: The body has more bytes than a setting allows."""

    slug = "body-too-large"


class Conflict(ProblemError):
    """409: The request contradicts what is stored."""

    slug = "conflict"


class DatabaseAway(ProblemError):
    """503: The database cannot be reached."""

    slug = "database-away"


class EmbeddingMismatch(ProblemError):
    """409: Memories were embedded by another model than the one configured."""

    slug = "embedding-mismatch"


class Forbidden(ProblemError):
    """403: The key's scope does not allow this."""

    slug = "forbidden"


class InternalError(ProblemError):
    """500: The service failed."""

    slug = "internal-error"


class InvalidInput(ProblemError):
    """422: The input is out of bounds."""

    slug = "invalid-input"


class ModelError(ProblemError):
    """502: A model server did not give a usable reply."""

    slug = "model-error"


class NoSuchMethod(ProblemError):
    """405: This path does not know the method; `Allow` names one that it knows."""

    slug = "no-such-method"


class NoSuchPath(ProblemError):
    """404: There is nothing at this path."""

    slug = "no-such-path"


class NotFound(ProblemError):
    """404: There is no such thing."""

    slug = "not-found"


class NotJson(ProblemError):
    """415: Send the body as JSON, with `Content-Type: application/json`."""

    slug = "not-json"


class Overloaded(ProblemError):
    """429: The service has as much work as it can hold; try again later."""

    slug = "overloaded"


class PreconditionFailed(ProblemError):
    """412: The memory is not at the version that `If-Match` names."""

    slug = "precondition-failed"


class RequestTimeout(ProblemError):
    """408: The body did not arrive within the seconds that a setting allows."""

    slug = "request-timeout"


class TooManyRequestsAtOnce(ProblemError):
    """503: The process has as many requests under way as a setting allows."""

    slug = "too-many-requests-at-once"


class Unauthenticated(ProblemError):
    """401: A valid key is required: send `Authorization: Bearer <key>`."""

    slug = "unauthenticated"


class UnknownHost(ProblemError):
    """421: The name in `Host` does not lead to the service; MEMORY_R1_SERVER__ALLOWED_HOSTS says which do."""

    slug = "unknown-host"


class UnreadableBody(ProblemError):
    """400: The body cannot be read as JSON."""

    slug = "unreadable-body"


class BankExists(Conflict):
    """409: There is a bank of this name already."""

    slug = "bank-exists"


class BrokenReply(ModelError):
    """502: The reply does not follow the schema that was asked for."""

    slug = "broken-reply"


class ErasedMeanwhile(Conflict):
    """409: What the answer stands on was erased while it was made; ask again."""

    slug = "erased-meanwhile"


class IdempotencyConflict(Conflict):
    """409: The Idempotency-Key was used for another request."""

    slug = "idempotency-conflict"


class IngestionUnderWay(Conflict):
    """409: Turns of the ingestion are still being worked on; wait for its end."""

    slug = "ingestion-under-way"


class ModelOverloaded(ModelError):
    """503: The model server is overloaded or failed inside."""

    slug = "model-overloaded"


class ModelRefused(ModelError):
    """502: The model server refused the request."""

    slug = "model-refused"


class ModelTimedOut(ModelError):
    """504: The model server did not answer in time."""

    slug = "model-timed-out"


class ModelUnreachable(ModelError):
    """503: The model server cannot be reached."""

    slug = "model-unreachable"


class NothingToRetry(Conflict):
    """409: The ingestion has no failed turn."""

    slug = "nothing-to-retry"


class NothingToUndo(Conflict):
    """409: The operation changed nothing, or is undone already."""

    slug = "nothing-to-undo"


class QuotaExceeded(Overloaded):
    """429: The key has used up what it may use in a day."""

    slug = "quota-exceeded"


class RateLimited(Overloaded):
    """429: The key made too many requests."""

    slug = "rate-limited"


class ReplyCutOff(ModelError):
    """502: The reply was cut off at the length limit."""

    slug = "reply-cut-off"


class StaleMemory(Conflict):
    """409: A memory changed between reading and writing."""

    slug = "stale-memory"


class TurnConflict(Conflict):
    """409: A turn with this external id is stored with another content."""

    slug = "turn-conflict"


class UndoConflict(Conflict):
    """409: Later changes stand in the way of undoing this."""

    slug = "undo-conflict"


class UnfitPolicy(InvalidInput):
    """422: The policy cannot be served here."""

    slug = "unfit-policy"


class UnknownAnswer(NotFound):
    """404: There is no such answer in this bank."""

    slug = "unknown-answer"


class UnknownBank(NotFound):
    """404: There is no such bank."""

    slug = "unknown-bank"


class UnknownDelivery(NotFound):
    """404: There is no such delivery of this webhook."""

    slug = "unknown-delivery"


class UnknownErasure(NotFound):
    """404: There is no receipt with this digest."""

    slug = "unknown-erasure"


class UnknownIngestion(NotFound):
    """404: There is no such ingestion in this bank."""

    slug = "unknown-ingestion"


class UnknownKey(NotFound):
    """404: There is no such key."""

    slug = "unknown-key"


class UnknownMemory(NotFound):
    """404: There is no such memory in this bank."""

    slug = "unknown-memory"


class UnknownOperation(NotFound):
    """404: There is no such operation in this bank's log."""

    slug = "unknown-operation"


class UnknownPolicy(NotFound):
    """404: There is no such policy."""

    slug = "unknown-policy"


class UnknownTurn(NotFound):
    """404: There is no such turn in this bank."""

    slug = "unknown-turn"


class UnknownWebhook(NotFound):
    """404: There is no such webhook."""

    slug = "unknown-webhook"


PROBLEMS: dict[str, type[ProblemError]] = {
    "https://memory-r1.dev/problems/bank-busy": BankBusy,
    "https://memory-r1.dev/problems/bank-exists": BankExists,
    "https://memory-r1.dev/problems/body-too-large": BodyTooLarge,
    "https://memory-r1.dev/problems/broken-reply": BrokenReply,
    "https://memory-r1.dev/problems/conflict": Conflict,
    "https://memory-r1.dev/problems/database-away": DatabaseAway,
    "https://memory-r1.dev/problems/embedding-mismatch": EmbeddingMismatch,
    "https://memory-r1.dev/problems/erased-meanwhile": ErasedMeanwhile,
    "https://memory-r1.dev/problems/forbidden": Forbidden,
    "https://memory-r1.dev/problems/idempotency-conflict": IdempotencyConflict,
    "https://memory-r1.dev/problems/ingestion-under-way": IngestionUnderWay,
    "https://memory-r1.dev/problems/internal-error": InternalError,
    "https://memory-r1.dev/problems/invalid-input": InvalidInput,
    "https://memory-r1.dev/problems/model-error": ModelError,
    "https://memory-r1.dev/problems/model-overloaded": ModelOverloaded,
    "https://memory-r1.dev/problems/model-refused": ModelRefused,
    "https://memory-r1.dev/problems/model-timed-out": ModelTimedOut,
    "https://memory-r1.dev/problems/model-unreachable": ModelUnreachable,
    "https://memory-r1.dev/problems/no-such-method": NoSuchMethod,
    "https://memory-r1.dev/problems/no-such-path": NoSuchPath,
    "https://memory-r1.dev/problems/not-found": NotFound,
    "https://memory-r1.dev/problems/not-json": NotJson,
    "https://memory-r1.dev/problems/nothing-to-retry": NothingToRetry,
    "https://memory-r1.dev/problems/nothing-to-undo": NothingToUndo,
    "https://memory-r1.dev/problems/overloaded": Overloaded,
    "https://memory-r1.dev/problems/precondition-failed": PreconditionFailed,
    "https://memory-r1.dev/problems/quota-exceeded": QuotaExceeded,
    "https://memory-r1.dev/problems/rate-limited": RateLimited,
    "https://memory-r1.dev/problems/reply-cut-off": ReplyCutOff,
    "https://memory-r1.dev/problems/request-timeout": RequestTimeout,
    "https://memory-r1.dev/problems/stale-memory": StaleMemory,
    "https://memory-r1.dev/problems/too-many-requests-at-once": TooManyRequestsAtOnce,
    "https://memory-r1.dev/problems/turn-conflict": TurnConflict,
    "https://memory-r1.dev/problems/unauthenticated": Unauthenticated,
    "https://memory-r1.dev/problems/undo-conflict": UndoConflict,
    "https://memory-r1.dev/problems/unfit-policy": UnfitPolicy,
    "https://memory-r1.dev/problems/unknown-answer": UnknownAnswer,
    "https://memory-r1.dev/problems/unknown-bank": UnknownBank,
    "https://memory-r1.dev/problems/unknown-delivery": UnknownDelivery,
    "https://memory-r1.dev/problems/unknown-erasure": UnknownErasure,
    "https://memory-r1.dev/problems/unknown-host": UnknownHost,
    "https://memory-r1.dev/problems/unknown-ingestion": UnknownIngestion,
    "https://memory-r1.dev/problems/unknown-key": UnknownKey,
    "https://memory-r1.dev/problems/unknown-memory": UnknownMemory,
    "https://memory-r1.dev/problems/unknown-operation": UnknownOperation,
    "https://memory-r1.dev/problems/unknown-policy": UnknownPolicy,
    "https://memory-r1.dev/problems/unknown-turn": UnknownTurn,
    "https://memory-r1.dev/problems/unknown-webhook": UnknownWebhook,
    "https://memory-r1.dev/problems/unreadable-body": UnreadableBody,
}
"""By the URI of the type."""
