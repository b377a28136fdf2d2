// A chatbot that remembers across restarts: tell it things, ask it questions, end it, and ask again.
//
// Start the service with `memory-r1 serve --local`, then `make sdks-install`, and in this folder `npm install` and
// `node typescript_chatbot.ts`, with Node 22.18 or newer: older ones do not run TypeScript. `.venv/bin` has one.

import { createInterface } from 'node:readline';
import { type Bank, MemoryR1, MemoryR1Error, problems } from 'memory-r1-client';

/** Answer a question word by word, and remember everything else. */
async function reply(bank: Bank, said: string): Promise<void> {
  if (!said.endsWith('?')) {
    await bank.remember(said, { speaker: 'User', wait: true });
    console.log('I will remember that.');
    return;
  }
  try {
    for await (const event of bank.streamAnswer(said)) {
      if (event.event === 'token') process.stdout.write(event.data.text);
      if (event.event === 'done') console.log(event.data.abstained ? 'You have not told me.' : '');
    }
  } catch (error) {
    if (!(error instanceof problems.UnknownBank)) throw error;
    console.log('You have not told me anything yet.');
  }
}

const { MEMORY_R1_URL: url = 'http://127.0.0.1:8080', MEMORY_R1_KEY: key, CHAT_USER: user = 'me' } = process.env;
const bank = new MemoryR1(url, { key }).bank(user);
process.stdout.write('> ');
for await (const line of createInterface({ input: process.stdin })) {
  await reply(bank, line.trim() || '?').catch((error: Error) => {
    if (!(error instanceof MemoryR1Error)) throw error;
    console.log(`That did not work: ${error.message}`);
  });
  process.stdout.write('> ');
}
