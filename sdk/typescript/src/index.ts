export { Bank, type ToldEvent, type Waiting } from './bank.js';
export * from './errors.js';
export type * from './generated/index.js';
export { MemoryR1, type Options as MemoryR1Options } from './memory.js';
export { pages } from './pages.js';
export * as problems from './problems.js';
export type { Retries } from './sending.js';
