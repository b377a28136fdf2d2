// The client against the live service, as a chatbot would use it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IngestionFailed, MemoryR1, MemoryR1Error, ProblemError, StillWaiting, problems } from '../dist/index.js';
import { all, asked, bankName, client, url } from './service.ts';

const ODD = 'Zoë 🐕‍🦺 heißt שלום \u202eبادي \u2028 \u{1f9ff} Ünïcödé';

test('what is said is remembered and answered', async () => {
  const alice = (await client()).bank(bankName());
  const receipt = await alice.remember('I adopted a dog named Buddy.', { speaker: 'Alice', wait: true });
  assert.equal(receipt.state, 'done');
  const answered = await alice.answer('Which dog?');
  assert.equal(answered.answer, 'Alice adopted a dog named Buddy.');
  const memories = await all(alice.memories());
  assert.deepEqual(answered.memories.map((used) => used.id), memories.map((memory) => memory.id));
  assert.equal((await alice.answer('Which dog?', { best_guess: true })).best_guess, true);
  assert.ok((await all(alice.memory.banks())).some((bank) => bank.name === alice.name));
});

test('a memory is forgotten and comes back', async () => {
  const alice = (await client()).bank(bankName());
  await alice.remember('I have a cat.', { wait: true });
  const [memory] = await all(alice.memories());
  assert.ok(memory);
  const { operation } = await alice.forget(memory.id);
  assert.deepEqual(await all(alice.memories()), []);
  await alice.undo(operation);
  assert.equal((await all(alice.memories())).length, 1);
  assert.deepEqual((await all(alice.operations({ order: 'oldest' }))).map((one) => one.number), [1, 2, 3]);
  assert.deepEqual(await alice.search('cat', { as_of: '2020-01-01T00:00:00Z' }), []);
});

test('any text comes back as it was', async () => {
  const bank = (await client()).bank(bankName());
  const said = { speaker: 'Zoë 🐕', external_id: ODD, session: ODD, metadata: { [ODD]: [ODD, null, 1.5] } };
  await bank.remember(ODD, { ...said, wait: true });
  const [turn] = await all(bank.turns());
  assert.deepEqual([turn?.text, turn?.speaker, turn?.external_id, turn?.session], [ODD, 'Zoë 🐕', ODD, ODD]);
  assert.ok((await bank.search(ODD)).length > 0);
});

test('text that cannot be stored is an error of its own kind', async () => {
  const bank = (await client()).bank(bankName());
  for (const text of ['', '   ', '\x00', '\ud800', 'x'.repeat(100_000)]) {
    await assert.rejects(bank.remember(text), (error) => {
      assert.ok(error instanceof problems.InvalidInput);
      assert.ok(error.errors[0]?.at.startsWith('body.turns.0.text'));
      return true;
    });
  }
});

test('a wrong key is told at once', async () => {
  for (const key of ['mr1_nobody_knows_this_key', undefined]) {
    const memory = await client([], { key });
    await assert.rejects(memory.bank('alice').remember('I am here.'), (error) => {
      assert.ok(error instanceof problems.Unauthenticated && error instanceof ProblemError);
      assert.deepEqual([error.status, error.name], [401, 'Unauthenticated']);
      return true;
    });
    assert.equal((await asked()).length, 1);
  }
});

test('what is no URL or cannot be a key is refused', () => {
  for (const wrong of ['', 'localhost', 'ftp://127.0.0.1']) assert.throws(() => new MemoryR1(wrong), TypeError);
  for (const key of ['kéy', 'a\r\nx: y', '']) assert.throws(() => new MemoryR1(url, { key }), TypeError);
});

test('errors have the class of their problem', async () => {
  const memory = await client();
  await assert.rejects(memory.bank('nobody').answer('Who?'), (error) => {
    assert.ok(error instanceof problems.UnknownBank && error instanceof problems.NotFound);
    assert.ok(error instanceof MemoryR1Error);
    return true;
  });
  await assert.rejects(memory.bank('no bank!').answer('Who?'), problems.InvalidInput);
});

test('a turn that is posted again waits for the first', async () => {
  const alice = (await client()).bank(bankName());
  const first = await alice.remember('I have a cat.', { external_id: '1' });
  const second = await alice.remember('I have a cat.', { external_id: '1', wait: true });
  assert.deepEqual(second.earlier_ingestion_ids, [first.ingestion_id]);
  assert.equal((await all(alice.memories())).length, 1);
  await assert.rejects(alice.remember('I have a dog.', { external_id: '1' }), problems.TurnConflict);
});

test('a turn that cannot be worked on is no success', async () => {
  const alice = (await client()).bank(bankName());
  await assert.rejects(alice.remember('This breaks the model.', { wait: true }), IngestionFailed);
});

test('patience ends', async () => {
  const alice = (await client()).bank(bankName());
  await assert.rejects(alice.remember('This takes the model long.', { wait: true, patience: 0 }), StillWaiting);
});

test('long lists are read page by page', async () => {
  const alice = (await client([])).bank(bankName());
  const said = Array.from({ length: 401 }, (_, number) => `${number} ${ODD.repeat(20)}?`);
  await alice.rememberAll(said.map((text) => ({ speaker: 'Alice', text })));
  const turns = await all(alice.turns());
  assert.deepEqual(turns.map((turn) => turn.text), said);
  assert.equal((await asked()).length, 1 + 3);
});

test('an answer is heard while it is made', async () => {
  const alice = (await client()).bank(bankName());
  await alice.remember(`${ODD} is my dog.`, { wait: true });
  const events = await all(alice.streamAnswer('Which dog?'));
  const done = events.at(-1);
  assert.ok(done?.event === 'done' && done.data.answer?.includes('Zoë'));
  assert.equal(events.map((event) => (event.event === 'token' ? event.data.text : '')).join(''), done.data.answer);
  assert.deepEqual(new Set(events.map((event) => event.event)), new Set(['candidates', 'distilled', 'token', 'done']));
  await assert.rejects(all(alice.memory.bank('nobody').streamAnswer('Who?')), problems.UnknownBank);
});

test('an ingestion is followed to its end', async () => {
  const alice = (await client()).bank(bankName());
  const turns = Array.from({ length: 5 }, (_, number) => ({ speaker: 'Alice', text: `I have ${number} cats.` }));
  const receipt = await alice.rememberAll(turns);
  const ended = await all(alice.follow(receipt.ingestion_id));
  assert.deepEqual(ended.map((turn) => turn.turn_id), receipt.turn_ids);
});

test('a bank is exported and imported', async () => {
  const memory = await client();
  const [from, to] = [memory.bank(bankName()), memory.bank(bankName())];
  await from.remember(ODD, { wait: true });
  const exported = (await memory.exportBank({ path: { bank: from.name }, parseAs: 'text' })) as string;
  await memory.importBank({ path: { bank: to.name }, body: exported });
  const texts = async (bank: typeof from) => (await all(bank.memories())).map((one) => one.text);
  assert.deepEqual(await texts(to), await texts(from));
});
