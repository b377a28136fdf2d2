// The live service of a test run, as its starter names it: MEMORY_R1_URL, MEMORY_R1_KEY, and a proxy that fails.

import { MemoryR1, type MemoryR1Options } from '../dist/index.js';

function named(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set: these tests are run by tests/sdk/test_typescript.py`);
  return value;
}

export const url = named('MEMORY_R1_URL');
export const key = named('MEMORY_R1_KEY');
const proxy = named('MEMORY_R1_PROXY');

export interface Asked {
  method: string;
  path: string;
  once: string | null;
  at: number;
  last_event_id: string | null;
}

/** A client of the service, through the proxy if it is to fail by a script. */
export async function client(script?: string[], options: MemoryR1Options = {}): Promise<MemoryR1> {
  if (script) await fetch(`${proxy}/script`, { method: 'POST', body: JSON.stringify(script) });
  return new MemoryR1(script ? proxy : url, { key, retries: { firstWait: 0.01 }, ...options });
}

/** What arrived at the proxy since its script was set. */
export async function asked(): Promise<Asked[]> {
  return (await (await fetch(`${proxy}/asked`)).json()) as Asked[];
}

/** A bank of a test alone. */
export function bankName(): string {
  return `bank-${crypto.randomUUID()}`;
}

export async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}
