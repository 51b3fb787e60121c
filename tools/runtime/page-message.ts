/** What a page posts back to the tool that opened it, and how errors travel in it. */
import type { DeviceInfo } from '../../src/encoder/engine.ts';
import { postError, receiveError } from '../../src/worker/errors.ts';
import type { PostedError } from '../../src/worker/messages.ts';
import type { JobEvent } from './jobs.ts';

export type PageMessage =
  | { type: 'ready'; device: DeviceInfo }
  | { type: 'event'; event: JobEvent }
  | { type: 'done'; output: unknown }
  | ({ type: 'failed' } & PostedError);

/** An unexpected error travels with its stack: nobody but the page knows where it came from. */
export function failure(error: unknown): PageMessage {
  const posted = postError(error);
  const stack = posted.code === undefined && error instanceof Error ? error.stack : undefined;
  return { type: 'failed', ...posted, message: stack ?? posted.message };
}

export function asError(message: PageMessage): Error {
  return message.type === 'failed' ? receiveError(message) : new Error(`unexpected ${message.type} from the page`);
}
