import { expect, it } from 'vitest';
import { epochBatches } from '../../../src/training/trainer/sampler.ts';

const seconds = Array.from({ length: 97 }, (_, n) => 1 + ((n * 37) % 97) / 10);
const options = { batchSize: 8, maxDuration: 40, seed: 3 };
const longest = (batch: readonly number[]) => Math.max(...batch.map((n) => seconds[n]));

it('every utterance is in one batch of an epoch, none longer than allowed with what pads it', () => {
  const batches = epochBatches(seconds, 0, options);
  expect(batches.flat().sort((a, b) => a - b)).toEqual(seconds.map((_, n) => n));
  for (const batch of batches) {
    expect(batch.length).toBeLessThanOrEqual(8);
    expect(batch.length * longest(batch)).toBeLessThanOrEqual(40);
  }
});

it('batches are of like length, so that little pads', () => {
  const batches = epochBatches(seconds, 0, options);
  const padded = batches.reduce((sum, batch) => sum + batch.length * longest(batch), 0);
  const said = seconds.reduce((sum, each) => sum + each, 0);
  expect(padded / said).toBeLessThan(1.1);
});

it('an epoch has the same batches each time, another epoch or seed has others', () => {
  const first = epochBatches(seconds, 0, options);
  expect(epochBatches(seconds, 0, options)).toEqual(first);
  expect(epochBatches(seconds, 1, options)).not.toEqual(first);
  expect(epochBatches(seconds, 0, { ...options, seed: 4 })).not.toEqual(first);
});

it('an utterance that is longer than a batch may be is one of its own', () => {
  expect(epochBatches([50, 1, 1], 0, options).filter((batch) => batch.includes(0))).toEqual([[0]]);
});
