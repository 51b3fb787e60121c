/** Rill's entry for servers, `rill-asr/server`, beside the public one: docs/server.md. */
export { RillServer } from './server.ts';
export type { ServerOptions } from './options.ts';
export type { OpenEngine } from './calls.ts';
export type { ServerLimits } from './limits.ts';
export type { ServerLog } from './log.ts';
export { parseTokens } from './access.ts';
export { canListen } from './ports.ts';

// Calls that survive their server: docs/scale.md.
export { DurableCalls, type DurableCallsOptions } from './durable/calls.ts';
export type { CallEnd, CallHandlers, CallOptions, DurableCall } from './durable/call.ts';
export type { CloseReason } from '../recognizer/sessions.ts';
export { MemoryCallStore, type CallStore, type Claim, type MemoryCallStoreOptions } from './durable/store.ts';
export { RedisCallStore, type RedisCallStoreOptions, type RedisClient } from './durable/redis.ts';

// Many recordings as jobs: docs/corpus.md.
export * from './corpus/index.ts';
