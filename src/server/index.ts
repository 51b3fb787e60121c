/** Rill's entry for servers, `rill-asr/server`, beside the public one: docs/server.md. */
export { RillServer } from './server.ts';
export type { ServerOptions } from './options.ts';
export type { OpenEngine } from './calls.ts';
export type { ServerLimits } from './limits.ts';
export type { ServerLog } from './log.ts';
export { parseTokens } from './access.ts';
export { canListen } from './ports.ts';

// Many recordings as jobs: docs/corpus.md.
export * from './corpus/index.ts';
