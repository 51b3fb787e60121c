import { setTimeout } from 'node:timers/promises';

/** Waits, at most until the signal is aborted. */
export const waitFor = (ms: number, signal: AbortSignal): Promise<void> =>
  setTimeout(ms, undefined, { signal }).catch(() => undefined);
