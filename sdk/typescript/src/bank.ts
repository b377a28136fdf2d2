// What a chatbot does with a bank; everything else are methods of `MemoryR1`.

import { IngestionFailed, StillWaiting, StreamBroken } from './errors.js';
import type {
  Answered, AnswerEvent, Candidate, Edited, Ingestion, IngestionEvent, ListOperationsData, ListTurnsData, Memory,
  OperationRecord, PostedReceipt, PostedTurn, Question, Search, TurnProgress,
} from './generated/index.js';
import type { MemoryR1 } from './memory.js';
import { pages } from './pages.js';
import { eventsOf } from './streams.js';

/** Seconds that the service is asked to wait at once: shorter than the timeouts of most proxies. */
const LONGEST_WAIT = 30;

/** Of a stream, one after another without an event in between. */
const MOST_BREAKS = 5;
const AS_STREAM = { headers: { accept: 'text/event-stream' } as Record<string, string>, parseAs: 'stream' } as const;
const ANSWER = { candidates: true, distilled: true, token: true, reset: true, done: true } as const;
const INGESTION = { turn: true, end: true } as const;

type Stream = ReadableStream<Uint8Array<ArrayBuffer>>;
/** An event of an answer; `error` is raised. */
export type ToldEvent = Exclude<AnswerEvent, { event: 'error' }>;
type EndedEvent = Exclude<IngestionEvent, { event: 'error' }>;

export interface Waiting {
  /** Wait until what was said is remembered. */
  wait?: boolean;
  /** Seconds to wait at most. Default 600. */
  patience?: number;
}

/** A bank of a service, by its name. */
export class Bank {
  constructor(readonly memory: MemoryR1, readonly name: string) {}

  private get path() {
    return { bank: this.name };
  }

  /** Post a turn; see `rememberAll`. */
  remember(text: string, turn: Partial<Omit<PostedTurn, 'text'>> & Waiting = {}): Promise<PostedReceipt> {
    const { wait, patience, ...details } = turn;
    return this.rememberAll([{ speaker: 'User', ...details, text }], { wait, patience });
  }

  /**
   * Post turns, in the order in which they were said. They are durable once this returns; with `wait`, what they say
   * is remembered as well. Raises `IngestionFailed`, `StillWaiting`.
   */
  async rememberAll(turns: PostedTurn[], { wait = false, patience = 600 }: Waiting = {}): Promise<PostedReceipt> {
    const receipt = await this.memory.postTurns({ path: this.path, body: { turns } });
    if (!wait) return receipt;
    for (const id of receipt.earlier_ingestion_ids) await this.waitFor(id, patience);
    return { ...receipt, state: (await this.waitFor(receipt.ingestion_id, patience)).state };
  }

  /** An ingestion once it has ended. Raises `IngestionFailed`, `StillWaiting` after so many seconds. */
  async waitFor(ingestionId: string, patience = 600): Promise<Ingestion> {
    const until = performance.now() + patience * 1000;
    for (;;) {
      const seconds = Math.max(0, Math.min(LONGEST_WAIT, Math.floor((until - performance.now()) / 1000)));
      const headers = seconds ? { prefer: `wait=${seconds}` } : {};
      const path = { ...this.path, ingestion_id: ingestionId };
      const ingestion = await this.memory.getIngestion({ path, headers });
      if (ingestion.state === 'done') return ingestion;
      if (ingestion.state === 'failed') throw new IngestionFailed(ingestionId, failureOf(ingestion));
      if (!seconds) throw new StillWaiting(ingestionId, ingestion.state);
    }
  }

  /** Answer from what the bank remembers; `answer` is null where it cannot tell, unless a best guess is asked for. */
  answer(question: string, options: Omit<Question, 'question'> = {}): Promise<Answered> {
    return this.memory.answerQuestion({ path: this.path, body: { ...options, question } });
  }

  /**
   * What an answer comes to while it is made: `candidates`, `distilled`, a `token` for each piece of its text, and
   * `done` with all of it. After `reset`, what was told of memories and text comes anew. Raises `StreamBroken` where it
   * ends before `done`.
   */
  async *streamAnswer(question: string, options: Omit<Question, 'question'> = {}): AsyncGenerator<ToldEvent> {
    const body = { ...options, question };
    const stream = await this.memory.answerQuestion({ path: this.path, body, ...AS_STREAM });
    for await (const event of eventsOf<ToldEvent>(stream as unknown as Stream, ANSWER)) {
      yield event;
      if (event.event === 'done') return;
    }
    throw new StreamBroken('The answer ended before its last event.');
  }

  /**
   * Each turn of an ingestion once it is done or has failed, until none waits any more; a stream that breaks off is
   * taken up where it was.
   */
  async *follow(ingestionId: string): AsyncGenerator<TurnProgress> {
    const path = { ...this.path, ingestion_id: ingestionId };
    let last: Record<string, string> = {};
    for (let breaks = 1; ; breaks += 1) {
      const headers = { ...AS_STREAM.headers, ...last };
      const stream = await this.memory.followIngestion({ path, ...AS_STREAM, headers });
      let ended = new StreamBroken('The stream ended before its last event.');
      try {
        for await (const event of eventsOf<EndedEvent>(stream as unknown as Stream, INGESTION)) {
          if (event.event === 'end') return;
          last = { 'last-event-id': event.id };
          breaks = 0;
          yield event.data;
        }
      } catch (error) {
        if (!(error instanceof StreamBroken)) throw error;
        ended = error;
      }
      if (breaks === MOST_BREAKS) throw ended;
    }
  }

  /** The memories that fit a text best. */
  async search(query: string, options: Omit<Search, 'query'> = {}): Promise<Candidate[]> {
    return (await this.memory.searchMemories({ path: this.path, body: { ...options, query } })).candidates;
  }

  /** All that the bank remembers, or remembered at a moment, oldest first. */
  async *memories(asOf?: string): AsyncGenerator<Memory> {
    const filters = asOf === undefined ? {} : { as_of: asOf };
    for await (const page of pages((place) =>
      this.memory.listMemories({ path: this.path, query: { ...filters, ...place } }),
    )) yield* page.memories;
  }

  /** All turns in order of arrival, with what became of each. */
  async *turns(filters: Omit<NonNullable<ListTurnsData['query']>, 'cursor'> = {}): AsyncGenerator<TurnProgress> {
    for await (const page of pages((place) =>
      this.memory.listTurns({ path: this.path, query: { ...place, ...filters } }),
    )) yield* page.turns;
  }

  /** The log. */
  async *operations(
    filters: Omit<NonNullable<ListOperationsData['query']>, 'cursor'> = {},
  ): AsyncGenerator<OperationRecord> {
    for await (const page of pages((place) =>
      this.memory.listOperations({ path: this.path, query: { ...place, ...filters } }),
    )) yield* page.operations;
  }

  /** Forget a memory; undoing the operation brings it back. */
  forget(memoryId: string): Promise<Edited> {
    return this.memory.removeMemory({ path: { ...this.path, memory_id: memoryId } });
  }

  /** Undo an operation by its number in the log. */
  undo(number: number) {
    return this.memory.undoOperation({ path: { ...this.path, number } });
  }
}

function failureOf(ingestion: Ingestion): string {
  const details = ingestion.turns.flatMap((turn) => (turn.error ? [turn.error.detail] : []));
  return details.join('; ') || 'no turn says why';
}
