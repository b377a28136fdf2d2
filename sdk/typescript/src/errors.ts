// What calls raise. Problems of the service have a class each, in problems.ts.

import type { Fault } from './generated/index.js';

/** Base of all. */
export class MemoryR1Error extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** No whole answer came, also after retries. */
export class ServiceUnreachable extends MemoryR1Error {}

/** The service was silent for longer than `timeout`. It may still be at work: not tried again. */
export class TimedOut extends ServiceUnreachable {}

/** The service answered with a problem (RFC 9457); of a type that this version does not know, this class itself. */
export class ProblemError extends MemoryR1Error {
  readonly status: number;
  /** A URI that tells problems apart. */
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  /** Of a request out of bounds: what is wrong where. */
  readonly errors: Fault[];
  /** Of an undo: the numbers of the later operations that stand in its way. */
  readonly conflicts: number[];
  /** Seconds after which the service asks to be tried again. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: Record<string, unknown>, retryAfter?: number) {
    const [title, detail] = [String(problem['title'] ?? ''), String(problem['detail'] ?? '')];
    const errors = (problem['errors'] ?? []) as Fault[];
    super(`${status} ${title}: ${detail}${errors.map((fault) => `\n  ${fault.at}: ${fault.detail}`).join('')}`);
    this.status = status;
    this.type = String(problem['type'] ?? 'about:blank');
    this.title = title;
    this.detail = detail;
    this.errors = errors;
    this.conflicts = (problem['conflicts'] ?? []) as number[];
    this.retryAfter = retryAfter;
  }
}

/** A turn that was waited for could not be worked on. */
export class IngestionFailed extends MemoryR1Error {
  constructor(readonly ingestionId: string, detail: string) {
    super(`Ingestion ${ingestionId} failed: ${detail}`);
  }
}

/** An ingestion had not ended when the time to wait for it was up; it goes on. */
export class StillWaiting extends MemoryR1Error {
  constructor(readonly ingestionId: string, readonly state: string) {
    super(`Ingestion ${ingestionId} is still ${state}.`);
  }
}

/** A stream ended before its last event. */
export class StreamBroken extends MemoryR1Error {}
