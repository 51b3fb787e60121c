import { afterAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import type { DrawStep, Draws } from '../../src/training/draws.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes, expectWithinShare } from '../support/close.ts';
import { alsoInAll } from '../support/scope.ts';
import {
  LOSS_SHARE,
  expectNetworkGradients,
  expectSteppedWeights,
  trainingCase,
  trainingJson,
  trainingTensors,
  weightsOf,
  type TrainingCase,
  type TrainingCaseName,
} from '../support/training.ts';
import { networkDraws } from './twins/network-draws.ts';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

async function networkOf(
  { config, files, lens, targets }: TrainingCase,
  mode: 'eval' | 'train',
  trainable?: readonly string[],
  layerDropout?: number,
) {
  const capacity = {
    utterances: lens.length,
    frames: longestFrames(lens),
    labels: Math.max(...targets.map(({ length }) => length)),
  };
  const options = mode === 'train' ? { dropout: config.dropout, auxLayers: config.auxLayers } : {};
  return TrainingNetwork.create(context, openModel(files), capacity, { ...options, trainable, layerDropout });
}

describe.each(alsoInAll<TrainingCaseName>(['noproj'], ['small', 'deep']))('%s', (name) => {
  it.each(['eval', 'train'] as const)('has the loss and the gradients of PyTorch: %s', async (mode) => {
    const each = await trainingCase(name);
    const expected = each[mode];
    const network = await networkOf(each, mode);
    const { features, lens, targets, draws } = each;
    const batch = { features: features.data, lens, targets, ...(mode === 'train' && { draws }) };
    const { losses, loss } = await network.run(batch, { reduction: expected.reduction });
    expectWithinShare(losses, expected.lossPerUtterance, LOSS_SHARE, 'losses');
    expect(Math.abs(loss / expected[expected.reduction] - 1)).toBeLessThan(LOSS_SHARE);
    expectNetworkGradients(await network.parameters.gradients(), weightsOf(expected.grads));
    network.dispose();
  });
});

it('draws on the GPU what is drawn on the CPU', async () => {
  const each = await trainingCase('noproj');
  const { config, features, lens, targets } = each;
  const network = await networkOf(each, 'train', undefined, 0.5);
  const drawn = { seed: 2 ** 40 + 7, microStep: 3 };
  const run = async (draws: Draws | DrawStep) => {
    network.submit(
      { features: features.data, lens, targets, draws, warmup: 0.4 },
      { reduction: 'sum' },
      { isFirst: true },
    );
    await network.losses();
    return network.parameters.gradients();
  };
  const size = { batch: lens.length, frames: longestFrames(lens) };
  const given = networkDraws(drawn, config, size, { layerDropout: 0.5, warmup: 0.4 });
  const [expected, actual] = [await run(given), await run(drawn)];
  for (const [name, gradient] of expected) {
    expect(
      gradient.some((value) => value !== 0),
      name,
    ).toBe(true);
    expectSameBytes(actual.get(name) ?? new Float32Array(0), gradient, name);
  }
  network.dispose();
});

interface Steps {
  optimizer: 'Adam' | 'AdamW';
  lr: number;
  weight_decay?: number;
  reduction: 'sum' | 'mean';
  trainable: 'all' | string[];
  steps: { loss: number; grad_norm_before_clip: number }[];
}

type StepsCase = readonly [folder: string, name: TrainingCaseName, mode: 'eval' | 'train'];
const STEPS = alsoInAll<StepsCase>(
  [['small/frozen', 'small', 'eval']],
  [
    ['small/adam', 'small', 'eval'],
    ['noproj/adam', 'noproj', 'eval'],
    ['deep/adam', 'deep', 'train'],
  ],
);
it.each(STEPS)('takes the steps of PyTorch: %s', async (folder, name, mode) => {
  const each = await trainingCase(name);
  const {
    optimizer,
    lr,
    weight_decay: weightDecay,
    reduction,
    trainable,
    steps,
  } = await trainingJson<Steps>(`${folder}/steps.json`);
  const network = await networkOf(each, mode, trainable === 'all' ? undefined : trainable);
  const kind = optimizer === 'Adam' ? 'adam' : 'adamw';
  const optimizing = await Optimizer.create(context, network.parameters, { optimizer: kind, weightDecay });
  const { features, lens, targets, draws } = each;
  const batch = { features: features.data, lens, targets, ...(mode === 'train' && { draws }) };
  for (const { loss, grad_norm_before_clip: norm } of steps) {
    const then = (encoder: GPUCommandEncoder) => {
      optimizing.step(encoder, lr);
    };
    network.submit(batch, { reduction }, { isFirst: true, then });
    expect((await network.losses()).loss / loss).toBeCloseTo(1, 4);
    expect((await optimizing.readState()).gradNorm / norm).toBeCloseTo(1, 3);
  }
  const expected = await trainingTensors(`${folder}/final.pt`);
  const values = await network.parameters.values();
  expectSteppedWeights(values, weightsOf(expected));
  optimizing.dispose();
  network.dispose();
});
