// How requests are sent: named once, tried again where that helps, and refused as errors.

import ky, { isHTTPError, isNetworkError, isTimeoutError } from 'ky';
import { ProblemError, ServiceUnreachable, TimedOut } from './errors.js';
import { PROBLEMS } from './problems.js';

/** When and how often a request is sent again. */
export interface Retries {
  /** All of them, the first included; 1: never again. Default 5. */
  attempts?: number;
  /** Seconds, doubled each time, with jitter. Default 0.25. */
  firstWait?: number;
  /** Seconds; a `Retry-After` beyond them is raised at once, with `retryAfter` set. Default 30. */
  longestWait?: number;
}

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);
const TRY_AGAIN = [429, 503];
const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
const STREAMS = /^(text\/event-stream|application\/x-ndjson)/;

/** A `fetch` that sends a request until it is answered or trying again does not help, and raises what is no success. */
export function sender(retries: Retries, timeout: number): typeof fetch {
  const { attempts = 5, firstWait = 0.25, longestWait = 30 } = retries;
  const retry = {
    limit: attempts - 1,
    methods: METHODS,
    statusCodes: TRY_AGAIN,
    afterStatusCodes: TRY_AGAIN,
    delay: (attempt: number) => firstWait * 2 ** (attempt - 1) * 1000,
    jitter: (wait: number) => wait + Math.random() * firstWait * 1000,
    backoffLimit: longestWait * 1000,
    shouldRetry: ({ error }: { error: Error }) =>
      isHTTPError(error) && (secondsOf(error.response.headers.get('retry-after')) ?? 0) > longestWait
        ? false
        : undefined,
  };
  return async (input, init) => {
    const request = new Request(input, init);
    if (!READING.has(request.method) && !request.headers.has('idempotency-key')) {
      request.headers.set('idempotency-key', crypto.randomUUID());
    }
    try {
      return await ky(request, { retry, timeout: timeout * 1000, fetch: fetchWhole });
    } catch (error) {
      if (isHTTPError(error)) throw problemOf(error.response, error.data);
      if (isNetworkError(error) || isTimeoutError(error)) {
        const Kind = isTimeoutError(error) ? TimedOut : ServiceUnreachable;
        throw new Kind(`No answer from ${new URL(request.url).host}: ${error.message}`, { cause: error });
      }
      throw error;
    }
  };
}

/** An answer with its body, so that one that is cut off counts as none; of a stream, its beginning. */
async function fetchWhole(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  if (response.body === null || STREAMS.test(response.headers.get('content-type') ?? '')) return response;
  return new Response(await response.arrayBuffer(), response);
}

function problemOf(response: Response, data: unknown): ProblemError {
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
  const after = secondsOf(response.headers.get('retry-after'));
  if (!isProblem || typeof data !== 'object' || data === null) {
    // From a proxy in between, or from another service.
    const problem = { title: response.statusText, detail: 'The answer is not one of Memory-R1.' };
    return new ProblemError(response.status, problem, after);
  }
  return problemError(response.status, data as Record<string, unknown>, after);
}

/** The error of the problem's own class. */
export function problemError(status: number, problem: Record<string, unknown>, retryAfter?: number): ProblemError {
  return new (PROBLEMS[String(problem['type'])] ?? ProblemError)(status, problem, retryAfter);
}

function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter);
  const moment = Date.parse(retryAfter);
  return Number.isNaN(moment) ? undefined : Math.max(0, (moment - Date.now()) / 1000);
}
