import { expect, it } from 'vitest';
import { RillError } from '../../../src/errors.ts';
import { largestBatch } from '../../../src/training/trainer/batch-size.ts';
import { failure } from '../../support/failure.ts';

const problem = (code: 'gpu' | 'device-lost') =>
  new RillError(code, { got: 'no room', expected: 'room', remedy: 'none' });

/** There is room for so many. */
function deviceFor(room: number, error = problem('gpu')) {
  const tried: number[] = [];
  const attempt = async (utterances: number) => {
    tried.push(utterances);
    if (utterances > room) {
      throw error;
    }
  };
  return { tried, attempt };
}

it('halves until a batch fits', async () => {
  const { tried, attempt } = deviceFor(20);
  expect(await largestBatch(64, attempt)).toBe(16);
  expect(tried).toEqual([64, 32, 16]);
});

it('says so where not even one fits, and at once what is no lack of room', async () => {
  await failure('gpu', () => largestBatch(64, deviceFor(0).attempt));
  const lost = deviceFor(20, problem('device-lost'));
  await failure('device-lost', () => largestBatch(64, lost.attempt));
  expect(lost.tried).toEqual([64]);
});
