import { RillError } from '../errors.ts';
import type { PostedError } from './messages.ts';

/** An error's parts, as they can be posted. */
export function postError(error: unknown): PostedError {
  if (error instanceof RillError) {
    const { message, code, got, expected, remedy } = error;
    return { message, code, got, expected, remedy };
  }
  const aborted = error instanceof DOMException && error.name === 'AbortError';
  return { message: error instanceof Error ? error.message : String(error), aborted };
}

/** The error that was posted. */
export function receiveError({ message, code, got = '', expected = '', remedy = '', aborted }: PostedError): Error {
  if (code) {
    return new RillError(code, { got, expected, remedy });
  }
  return aborted ? new DOMException(message, 'AbortError') : new Error(message);
}
