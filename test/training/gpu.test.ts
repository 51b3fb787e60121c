import { afterAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectWithinShare } from '../support/close.ts';
import {
  LOSS_SHARE,
  TRAINING_CASES,
  expectNetworkGradients,
  trainingCase,
  weightsOf,
  type TrainingCase,
} from '../support/training.ts';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

async function networkOf({ config, files, lens, targets }: TrainingCase, mode: 'eval' | 'train') {
  const capacity = {
    utterances: lens.length,
    frames: longestFrames(lens),
    labels: Math.max(...targets.map(({ length }) => length)),
  };
  const options = mode === 'train' ? { dropout: config.dropout, auxLayers: config.auxLayers } : {};
  return TrainingNetwork.create(context, openModel(files), capacity, options);
}

describe.each(TRAINING_CASES)('%s', (name) => {
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
