/** Rill's entry for servers, `rill-asr/server`, beside the public one. */
export { DurableCalls, type DurableCallsOptions } from './durable/calls.ts';
export type { CallEnd, CallHandlers, CallOptions, DurableCall } from './durable/call.ts';
export type { CloseReason } from '../recognizer/sessions.ts';
export { MemoryCallStore, type CallStore, type Claim } from './durable/store.ts';
export { RedisCallStore, type RedisCallStoreOptions, type RedisClient } from './durable/redis.ts';
