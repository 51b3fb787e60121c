import { expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { activationBytes, longestFrames } from '../../src/training/activations.ts';
import type { TrainingBatch } from '../../src/training/batch.ts';
import { checkBatch, checkOptions } from '../../src/training/checks.ts';
import { failure } from '../support/failure.ts';
import { trainingCase } from '../support/training.ts';

const { config, draws, files, features, lens, targets } = await trainingCase('noproj');
const { sizes } = openModel(files);
const batch: TrainingBatch = { features: features.data, lens, targets };
type Options = Parameters<typeof checkBatch>[4];
const plain: Options = { dropout: 0, auxLayers: [] };

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

it.each<[string, Partial<TrainingBatch>, Options?]>([
  ['too short an utterance', { lens: [8, 9, 9, 9] }],
  ['fewer frames than are stated', { lens: [9, 9, 9, 9000] }],
  ['a token that the model does not have', { targets: [[1], [2], [11], [3]] }],
  ['a spike of such a token', { targets: [[1], [2], { token: -1, window: [0, 2] }, [3]] }],
  ['hidden states in place of features', { features: undefined, hidden: new Float32Array(4) }],
  ['fewer targets than utterances', { targets: [[1]] }],
  ['dropout without draws', {}, { ...plain, dropout: 0.1 }],
  ['alphas of other layers', { draws: { ...draws, alpha: [1] } }, random],
  ['masks of fewer layers', { draws: { ...draws, layers: others } }, random],
  ['a mask of another width', { draws: { ...draws, layers: [{ ...first, lstm: first.ffInner }, ...others] } }, random],
  ['a mask of another batch', { draws: { ...draws, head: [1, 0, 1] } }, random],
  ['balancers without draws of them', { draws }, { ...random, shaping: { balancers: true } }],
  ['draws of other balancers', { draws: { ...draws, balancers: [true] } }, random],
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
  ['a first layer that there is not', { from: 3 }],
  ['an auxiliary layer below the first', { from: 2, auxLayers: [1, 2] }],
  ['a layer twice', { auxLayers: [2, 2] }],
])('refuses %s', async (_, options) => {
  await failure('bad-argument', () => {
    checkOptions(sizes.encoder, { ...plain, layerDropout: 0, ...options });
  });
});

it('keeps less than half of the full-size network where it computes activations once more, and little below what is trained', () => {
  const full = {
    numFeatures: 80,
    channels: [8, 32, 128],
    dModel: 512,
    rnnHiddenSize: 1024,
    hasProjection: true,
  } as const;
  const bytesOf = (keeping: { lowest: number; recompute: boolean; from?: number }) =>
    activationBytes(
      { ...full, dimFeedforward: 2048, numEncoderLayers: 12 },
      { utterances: 32, frames: 248 },
      { ...keeping, hasDropout: true, combined: 0 },
    );
  const all = bytesOf({ lowest: -1, recompute: false });
  expect(bytesOf({ lowest: -1, recompute: true }) / all).toBeLessThan(0.5);
  // Two layers of twelve, what is shared, and the convolutions.
  expect(bytesOf({ lowest: 10, recompute: false }) / all).toBeLessThan(0.45);
  expect(bytesOf({ lowest: 10, recompute: false, from: 10 }) / all).toBeLessThan(0.25);
});
