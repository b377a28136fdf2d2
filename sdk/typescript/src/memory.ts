// The client of a service.

import { Bank } from './bank.js';
import { createClient } from './generated/client/index.js';
import { Api, type BankSummary } from './generated/index.js';
import { pages } from './pages.js';
import { type Retries, sender } from './sending.js';

export interface Options {
  /** An API key; a service on this machine may ask for none. */
  key?: string;
  /** Seconds for each attempt. Default 300. */
  timeout?: number;
  retries?: Retries;
}

/** A service by its URL. Every operation of the API is a method; `bank` has what a chatbot needs. */
export class MemoryR1 extends Api {
  /** Raises `TypeError` for what is no URL or cannot be a key. */
  constructor(url: string, { key, timeout = 300, retries = {} }: Options = {}) {
    if (!/^https?:$/.test(new URL(url).protocol)) throw new TypeError(`${url} is not the URL of a service.`);
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
      throw new TypeError('The API key holds characters that no key has.');
    }
    const config = {
      baseUrl: url.replace(/\/+$/, ''),
      throwOnError: true,
      fetch: sender(retries, timeout),
      // A file of lines is sent as it is; no body of JSON is a bare string.
      bodySerializer: (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body)),
    } as const;
    super({ client: createClient(key === undefined ? config : { ...config, auth: key }) });
  }

  /** A bank, whether it exists or not: its first turn makes it. */
  bank(name: string): Bank {
    return new Bank(this, name);
  }

  /** All banks that the key may see, by name. */
  async *banks(): AsyncGenerator<BankSummary> {
    for await (const page of pages((place) => this.listBanks({ query: place }))) yield* page.banks;
  }
}
