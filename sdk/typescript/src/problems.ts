// A class for each type of problem that the service answers with.
// Made by sdk/generate.py from openapi/openapi.json; do not edit.

import { ProblemError } from './errors.js';

/** 503: Another request is writing to the same bank; try again. */
export class BankBusy extends ProblemError {}

/** 413: The body has more bytes than a setting allows. */
export class BodyTooLarge extends ProblemError {}

/** 409: The request contradicts what is stored. */
export class Conflict extends ProblemError {}

/** 503: The database cannot be reached. */
export class DatabaseAway extends ProblemError {}

/** 409: Memories were embedded by another model than the one configured. */
export class EmbeddingMismatch extends ProblemError {}

/** 403: The key's scope does not allow this. */
export class Forbidden extends ProblemError {}

/** 500: The service failed. */
export class InternalError extends ProblemError {}

/** 422: The input is out of bounds. */
export class InvalidInput extends ProblemError {}

/** 502: A model server did not give a usable reply. */
export class ModelError extends ProblemError {}

/** 405: This path does not know the method; `Allow` names one that it knows. */
export class NoSuchMethod extends ProblemError {}

/** 404: There is nothing at this path. */
export class NoSuchPath extends ProblemError {}

/** 404: There is no such thing. */
export class NotFound extends ProblemError {}

/** 415: Send the body as JSON, with `Content-Type: application/json`. */
export class NotJson extends ProblemError {}

/** 429: The service has as much work as it can hold; try again later. */
export class Overloaded extends ProblemError {}

/** 412: The memory is not at the version that `If-Match` names. */
export class PreconditionFailed extends ProblemError {}

/** 408: The body did not arrive within the seconds that a setting allows. */
export class RequestTimeout extends ProblemError {}

/** 503: The process has as many requests under way as a setting allows. */
export class TooManyRequestsAtOnce extends ProblemError {}

/** 401: A valid key is required: send `Authorization: Bearer <key>`. */
export class Unauthenticated extends ProblemError {}

/** 421: The name in `Host` does not lead to the service; MEMORY_R1_SERVER__ALLOWED_HOSTS says which do. */
export class UnknownHost extends ProblemError {}

/** 400: The body cannot be read as JSON. */
export class UnreadableBody extends ProblemError {}

/** 409: There is a bank of this name already. */
export class BankExists extends Conflict {}

/** 502: The reply does not follow the schema that was asked for. */
export class BrokenReply extends ModelError {}

/** 409: What the answer stands on was erased while it was made; ask again. */
export class ErasedMeanwhile extends Conflict {}

/** 409: The Idempotency-Key was used for another request. */
export class IdempotencyConflict extends Conflict {}

/** 409: Turns of the ingestion are still being worked on; wait for its end. */
export class IngestionUnderWay extends Conflict {}

/** 503: The model server is overloaded or failed inside. */
export class ModelOverloaded extends ModelError {}

/** 502: The model server refused the request. */
export class ModelRefused extends ModelError {}

/** 504: The model server did not answer in time. */
export class ModelTimedOut extends ModelError {}

/** 503: The model server cannot be reached. */
export class ModelUnreachable extends ModelError {}

/** 409: The ingestion has no failed turn. */
export class NothingToRetry extends Conflict {}

/** 409: The operation changed nothing, or is undone already. */
export class NothingToUndo extends Conflict {}

/** 429: The key has used up what it may use in a day. */
export class QuotaExceeded extends Overloaded {}

/** 429: The key made too many requests. */
export class RateLimited extends Overloaded {}

/** 502: The reply was cut off at the length limit. */
export class ReplyCutOff extends ModelError {}

/** 409: A memory changed between reading and writing. */
export class StaleMemory extends Conflict {}

/** 409: A turn with this external id is stored with another content. */
export class TurnConflict extends Conflict {}

/** 409: Later changes stand in the way of undoing this. */
export class UndoConflict extends Conflict {}

/** 422: The policy cannot be served here. */
export class UnfitPolicy extends InvalidInput {}

/** 404: There is no such answer in this bank. */
export class UnknownAnswer extends NotFound {}

/** 404: There is no such bank. */
export class UnknownBank extends NotFound {}

/** 404: There is no such delivery of this webhook. */
export class UnknownDelivery extends NotFound {}

/** 404: There is no receipt with this digest. */
export class UnknownErasure extends NotFound {}

/** 404: There is no such ingestion in this bank. */
export class UnknownIngestion extends NotFound {}

/** 404: There is no such key. */
export class UnknownKey extends NotFound {}

/** 404: There is no such memory in this bank. */
export class UnknownMemory extends NotFound {}

/** 404: There is no such operation in this bank's log. */
export class UnknownOperation extends NotFound {}

/** 404: There is no such policy. */
export class UnknownPolicy extends NotFound {}

/** 404: There is no such turn in this bank. */
export class UnknownTurn extends NotFound {}

/** 404: There is no such webhook. */
export class UnknownWebhook extends NotFound {}

/** By the URI of the type. */
export const PROBLEMS: Record<string, typeof ProblemError> = {
  'https://memory-r1.dev/problems/bank-busy': BankBusy,
  'https://memory-r1.dev/problems/bank-exists': BankExists,
  'https://memory-r1.dev/problems/body-too-large': BodyTooLarge,
  'https://memory-r1.dev/problems/broken-reply': BrokenReply,
  'https://memory-r1.dev/problems/conflict': Conflict,
  'https://memory-r1.dev/problems/database-away': DatabaseAway,
  'https://memory-r1.dev/problems/embedding-mismatch': EmbeddingMismatch,
  'https://memory-r1.dev/problems/erased-meanwhile': ErasedMeanwhile,
  'https://memory-r1.dev/problems/forbidden': Forbidden,
  'https://memory-r1.dev/problems/idempotency-conflict': IdempotencyConflict,
  'https://memory-r1.dev/problems/ingestion-under-way': IngestionUnderWay,
  'https://memory-r1.dev/problems/internal-error': InternalError,
  'https://memory-r1.dev/problems/invalid-input': InvalidInput,
  'https://memory-r1.dev/problems/model-error': ModelError,
  'https://memory-r1.dev/problems/model-overloaded': ModelOverloaded,
  'https://memory-r1.dev/problems/model-refused': ModelRefused,
  'https://memory-r1.dev/problems/model-timed-out': ModelTimedOut,
  'https://memory-r1.dev/problems/model-unreachable': ModelUnreachable,
  'https://memory-r1.dev/problems/no-such-method': NoSuchMethod,
  'https://memory-r1.dev/problems/no-such-path': NoSuchPath,
  'https://memory-r1.dev/problems/not-found': NotFound,
  'https://memory-r1.dev/problems/not-json': NotJson,
  'https://memory-r1.dev/problems/nothing-to-retry': NothingToRetry,
  'https://memory-r1.dev/problems/nothing-to-undo': NothingToUndo,
  'https://memory-r1.dev/problems/overloaded': Overloaded,
  'https://memory-r1.dev/problems/precondition-failed': PreconditionFailed,
  'https://memory-r1.dev/problems/quota-exceeded': QuotaExceeded,
  'https://memory-r1.dev/problems/rate-limited': RateLimited,
  'https://memory-r1.dev/problems/reply-cut-off': ReplyCutOff,
  'https://memory-r1.dev/problems/request-timeout': RequestTimeout,
  'https://memory-r1.dev/problems/stale-memory': StaleMemory,
  'https://memory-r1.dev/problems/too-many-requests-at-once': TooManyRequestsAtOnce,
  'https://memory-r1.dev/problems/turn-conflict': TurnConflict,
  'https://memory-r1.dev/problems/unauthenticated': Unauthenticated,
  'https://memory-r1.dev/problems/undo-conflict': UndoConflict,
  'https://memory-r1.dev/problems/unfit-policy': UnfitPolicy,
  'https://memory-r1.dev/problems/unknown-answer': UnknownAnswer,
  'https://memory-r1.dev/problems/unknown-bank': UnknownBank,
  'https://memory-r1.dev/problems/unknown-delivery': UnknownDelivery,
  'https://memory-r1.dev/problems/unknown-erasure': UnknownErasure,
  'https://memory-r1.dev/problems/unknown-host': UnknownHost,
  'https://memory-r1.dev/problems/unknown-ingestion': UnknownIngestion,
  'https://memory-r1.dev/problems/unknown-key': UnknownKey,
  'https://memory-r1.dev/problems/unknown-memory': UnknownMemory,
  'https://memory-r1.dev/problems/unknown-operation': UnknownOperation,
  'https://memory-r1.dev/problems/unknown-policy': UnknownPolicy,
  'https://memory-r1.dev/problems/unknown-turn': UnknownTurn,
  'https://memory-r1.dev/problems/unknown-webhook': UnknownWebhook,
  'https://memory-r1.dev/problems/unreadable-body': UnreadableBody,
};
