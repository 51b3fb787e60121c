import { expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import type { TrainingBatch } from '../../src/training/batch.ts';
import { checkBatch } from '../../src/training/checks.ts';
import { failure } from '../support/failure.ts';
import { trainingCase } from '../support/training.ts';

const { files, features, lens, targets } = await trainingCase('noproj');
const { sizes } = openModel(files);
const batch: TrainingBatch = { features: features.data, lens, targets };
const plain = { dropout: 0, auxLayers: [] };

const check = (part: Partial<TrainingBatch>, options = plain) => {
  const own = { ...batch, ...part };
  const size = { utterances: own.lens.length, frames: longestFrames(own.lens) };
  checkBatch(own, size, { utterances: lens.length, frames: longestFrames(lens) }, sizes, options);
};

it('takes a batch that fits', () => {
  expect(() => {
    check({});
  }).not.toThrow();
});

it.each<[string, Partial<TrainingBatch>, typeof plain?]>([
  ['too short an utterance', { lens: [8, 9, 9, 9] }],
  ['fewer frames than are stated', { lens: [9, 9, 9, 9000] }],
  ['a token that the model does not have', { targets: [[1], [2], [11], [3]] }],
  ['a spike of such a token', { targets: [[1], [2], { token: -1, window: [0, 2] }, [3]] }],
  ['fewer targets than utterances', { targets: [[1]] }],
  ['dropout without draws', {}, { ...plain, dropout: 0.1 }],
])('refuses %s', async (_, part, options) => {
  await failure('bad-argument', () => {
    check(part, options);
  });
});
