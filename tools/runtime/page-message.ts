/** What a page posts back to the tool that opened it, and how errors travel in it. */
import { RillError, type RillErrorCode } from '../../src/errors.ts';
import type { JobEvent } from './jobs.ts';

export type PageMessage =
  | { type: 'ready'; adapter: string }
  | { type: 'event'; event: JobEvent }
  | { type: 'done'; output: unknown }
  | { type: 'failed'; message: string; code?: RillErrorCode; got?: string; expected?: string; remedy?: string };

export function failure(error: unknown): PageMessage {
  if (error instanceof RillError) {
    const { code, got, expected, remedy, message } = error;
    return { type: 'failed', message, code, got, expected, remedy };
  }
  return { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

export function asError(message: PageMessage): Error {
  if (message.type === 'failed' && message.code) {
    const { code, got = '', expected = '', remedy = '' } = message;
    return new RillError(code, { got, expected, remedy });
  }
  return new Error(message.type === 'failed' ? message.message : `unexpected ${message.type} from the page`);
}
