import { RillError } from '../errors.ts';

/** @internal A checkpoint that is damaged, foreign, hostile or of another network. */
export function badCheckpoint(
  got: string,
  expected: string,
  remedy = 'Copy the checkpoint again; this file is damaged or foreign.',
): RillError {
  return new RillError('bad-checkpoint', { got, expected, remedy });
}
