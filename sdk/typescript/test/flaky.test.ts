// The client behind a proxy that fails: tried again where that helps, and every effect just once.

import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { MemoryR1, ProblemError, ServiceUnreachable, StreamBroken, TimedOut, problems } from '../dist/index.js';
import { all, asked, bankName, client } from './service.ts';

for (const word of ['refuse', 'cut', 'half']) {
  test(`a connection that breaks (${word}) costs no turn and doubles none`, async () => {
    const alice = (await client([word, word])).bank(bankName());
    const receipt = await alice.remember('I have a cat.');
    const requests = await asked();
    assert.equal(requests.length, 3);
    assert.ok(requests[0]?.once);
    assert.equal(new Set(requests.map((request) => request.once)).size, 1);
    assert.deepEqual((await all(alice.turns())).map((turn) => turn.turn_id), receipt.turn_ids);
  });
}

test('two writes have two names', async () => {
  const alice = (await client([])).bank(bankName());
  await alice.remember('I have a cat.');
  await alice.remember('I have a cat.');
  assert.equal(new Set((await asked()).map((request) => request.once)).size, 2);
});

for (const [word, seconds] of [['busy:1', 1], ['date', 0.9]] as const) {
  test(`it waits as long as the service says (${word})`, async () => {
    const alice = (await client([word])).bank(bankName());
    await alice.remember('I have a cat.');
    const [first, second] = await asked();
    assert.ok(first && second && second.at - first.at >= seconds && first.once === second.once);
  });
}

test('too long a wait is handed to the caller', async () => {
  const alice = (await client(['busy:3600'])).bank(bankName());
  await assert.rejects(alice.remember('I have a cat.'), (error) => {
    assert.ok(error instanceof problems.BankBusy);
    assert.equal(error.retryAfter, 3600);
    return true;
  });
  assert.equal((await asked()).length, 1);
});

test('attempts are counted', async () => {
  const name = bankName();
  const memory = await client(Array(9).fill('cut'), { retries: { attempts: 3, firstWait: 0.01 } });
  await assert.rejects(memory.bank(name).remember('I have a cat.'), ServiceUnreachable);
  assert.equal((await asked()).length, 3);
  assert.equal((await all((await client()).bank(name).turns())).length, 1);
});

test('a page of a proxy is no answer and not tried again', async () => {
  const alice = (await client(['html'])).bank(bankName());
  await assert.rejects(alice.remember('I have a cat.'), (error) => {
    assert.ok(error instanceof ProblemError && error.constructor === ProblemError && error.status === 502);
    return true;
  });
  assert.equal((await asked()).length, 1);
});

test('a service that hangs is given up', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const memory = new MemoryR1(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, { timeout: 0.2 });
  await assert.rejects(memory.bank('alice').answer('Who?'), TimedOut);
  silent.close();
});

test('an answer that breaks off is no answer', async () => {
  const name = bankName();
  await (await client()).bank(name).remember('I have a cat.', { wait: true });
  const alice = (await client(['events:2', 'refuse', 'busy:1'])).bank(name);
  const told: string[] = [];
  const hear = async () => {
    for await (const event of alice.streamAnswer('Which pet?')) told.push(event.event);
  };
  await assert.rejects(hear(), StreamBroken);
  assert.deepEqual(told, ['candidates', 'distilled']);
  await hear();
  assert.equal(told.at(-1), 'done');
});

test('an ingestion is followed across breaks', async () => {
  const name = bankName();
  const receipt = await (await client()).bank(name).remember('I have a cat.', { wait: true });
  const alice = (await client(['events:0', 'events:1', 'refuse'])).bank(name);
  assert.deepEqual((await all(alice.follow(receipt.ingestion_id))).map((turn) => turn.turn_id), receipt.turn_ids);
  assert.deepEqual((await asked()).map((request) => request.last_event_id !== null), [false, false, true, true]);
});

test('a stream that only breaks ends', async () => {
  const name = bankName();
  const receipt = await (await client()).bank(name).remember('I have a cat.', { wait: true });
  const alice = (await client(Array(20).fill('events:0'))).bank(name);
  await assert.rejects(all(alice.follow(receipt.ingestion_id)), StreamBroken);
  assert.equal((await asked()).length, 5);
});
