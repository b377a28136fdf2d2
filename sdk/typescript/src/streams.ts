// The events of streams, as values.

import { EventSourceParserStream } from 'eventsource-parser/stream';
import { StreamBroken } from './errors.js';
import { problemError } from './sending.js';

/** The events of a stream of some kinds; others are left out. Raises `ProblemError` for `error`, `StreamBroken`. */
export async function* eventsOf<E extends { event: string }>(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  kinds: Record<E['event'], true>,
): AsyncGenerator<E> {
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await events.read().catch((error: Error) => {
        throw new StreamBroken(`The stream broke off: ${error.message}`, { cause: error });
      });
      if (done) return;
      if (value.event === 'error') {
        const problem = JSON.parse(value.data) as Record<string, unknown>;
        throw problemError(Number(problem['status'] ?? 500), problem);
      }
      if (value.event !== undefined && value.event in kinds) {
        yield { event: value.event, data: JSON.parse(value.data), id: value.id } as unknown as E;
      }
    }
  } finally {
    await events.cancel().catch(() => undefined);
  }
}
