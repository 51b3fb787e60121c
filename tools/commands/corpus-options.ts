import { DEVICE_NAMES } from '../../src/engine.ts';
import { CorpusQueue } from '../../src/server/corpus/queue.ts';
import type { EngineChoice } from '../corpus/transcribing.ts';
import { RUNTIME_OPTIONS, adapterChoice, count, oneOf, usageError, type Command, type Options } from './arguments.ts';

/** Options of every command over a queue. */
export const QUEUE_OPTIONS = {
  queue: { type: 'string', value: 'URL', help: 'the Redis that all machines reach: redis://host:6379' },
  name: { type: 'string', value: 'NAME', default: 'corpus', help: 'which corpus, where a queue has several' },
} as const satisfies Options;

/** Options of commands that transcribe. */
export const ENGINE_OPTIONS = {
  streams: { type: 'string', value: 'N', default: '16', help: 'files side by side in one process' },
  device: RUNTIME_OPTIONS.device,
  threads: RUNTIME_OPTIONS.threads,
  adapter: RUNTIME_OPTIONS.adapter,
} as const satisfies Options;

type QueueValues = Partial<Record<keyof typeof QUEUE_OPTIONS, string>>;
type EngineValues = Partial<Record<keyof typeof ENGINE_OPTIONS, string>>;

/** What the recognizer is to run on. @throws RillError `bad-argument` */
export function engineChoice(command: Pick<Command, 'usage'>, values: EngineValues): EngineChoice {
  const adapter = adapterChoice(command, values.adapter);
  const device = oneOf(command, 'device', values.device, DEVICE_NAMES) ?? (adapter && 'webgpu');
  if (adapter !== undefined && device !== 'webgpu') {
    throw usageError(`--adapter ${adapter} with --device ${device}`, command);
  }
  return {
    streams: count(command, 'streams', values.streams) ?? 1,
    device,
    threads: count(command, 'threads', values.threads),
    adapter,
  };
}

/** Runs `use` with the queue that the options name. */
export async function withQueue<Result>(
  command: Pick<Command, 'usage'>,
  { queue: url, name }: QueueValues,
  use: (queue: CorpusQueue) => Promise<Result>,
): Promise<Result> {
  if (url === undefined || name === undefined) {
    throw usageError('no --queue', command);
  }
  const queue = await CorpusQueue.open(url, name);
  try {
    return await use(queue);
  } finally {
    await queue.close();
  }
}

/**
 * Runs `use` with a signal that is aborted when the process shall end (SIGINT, SIGTERM); the second time it ends at once.
 */
export async function untilStopped<Result>(use: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const stop = new AbortController();
  const abort = () => {
    stop.abort(new Error('stopped'));
  };
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  try {
    return await use(stop.signal);
  } finally {
    process.off('SIGINT', abort);
    process.off('SIGTERM', abort);
  }
}
