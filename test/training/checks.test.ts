import { expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import type { TrainingBatch } from '../../src/training/batch.ts';
import { checkBatch, checkOptions } from '../../src/training/checks.ts';
import { failure } from '../support/failure.ts';
import { trainingCase } from '../support/training.ts';

const { config, draws, files, features, lens, targets } = await trainingCase('noproj');
const { sizes } = openModel(files);
const batch: TrainingBatch = { features: features.data, lens, targets };
const plain = { dropout: 0, auxLayers: [] as number[] };

const check = (part: Partial<TrainingBatch>, options = plain) => {
  const own = { ...batch, ...part };
  const size = { utterances: own.lens.length, frames: longestFrames(own.lens) };
  checkBatch(own, size, { utterances: lens.length, frames: longestFrames(lens) }, sizes, options);
};

const random = { dropout: config.dropout, auxLayers: config.auxLayers };
const [first, ...others] = draws.layers;

it('takes a batch that fits, and draws that do', () => {
  expect(() => {
    check({});
    check({ draws }, random);
    check({ draws: { seed: 1, microStep: 0 } }, random);
  }).not.toThrow();
});

it.each<[string, Partial<TrainingBatch>, typeof random?]>([
  ['too short an utterance', { lens: [8, 9, 9, 9] }],
  ['fewer frames than are stated', { lens: [9, 9, 9, 9000] }],
  ['a token that the model does not have', { targets: [[1], [2], [11], [3]] }],
  ['a spike of such a token', { targets: [[1], [2], { token: -1, window: [0, 2] }, [3]] }],
  ['fewer targets than utterances', { targets: [[1]] }],
  ['dropout without draws', {}, { ...plain, dropout: 0.1 }],
  ['alphas of other layers', { draws: { ...draws, alpha: [1] } }, random],
  ['masks of fewer layers', { draws: { ...draws, layers: others } }, random],
  ['a mask of another width', { draws: { ...draws, layers: [{ ...first, lstm: first.ffInner }, ...others] } }, random],
  ['a mask of another batch', { draws: { ...draws, head: [1, 0, 1] } }, random],
  ['weights of another batch', { draws: { ...draws, combine: [1] } }, random],
])('refuses %s', async (_, part, options) => {
  await failure('bad-argument', () => {
    check(part, options);
  });
});

it.each([
  ['dropout of everything', { dropout: 1 }],
  ['a probability that is none', { layerDropout: NaN }],
  ['a layer that there is not', { auxLayers: [0, 99] }],
  ['auxiliary layers without the last', { auxLayers: [0, 1] }],
  ['a layer twice', { auxLayers: [2, 2] }],
])('refuses %s', async (_, options) => {
  await failure('bad-argument', () => {
    checkOptions(sizes.encoder, { ...plain, layerDropout: 0, ...options });
  });
});
