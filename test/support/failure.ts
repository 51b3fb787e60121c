import { expect } from 'vitest';
import { RillError, type RillErrorCode } from '../../src/errors.ts';

/** Awaits a RillError of the given kind and returns its message. */
export async function failure(code: RillErrorCode, run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(RillError);
    const { code: actual, message, got, expected, remedy } = error as RillError;
    expect(actual, message).toBe(code);
    expect([got, expected, remedy].every((part) => part.length > 0)).toBe(true);
    return message;
  }
  return expect.fail(`expected an error ${code}`);
}
