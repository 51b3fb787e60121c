/** What layers keep in f16: how far losses and gradients are from PyTorch's, and how much memory it takes. */
import { afterAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { activationBytes, longestFrames } from '../../src/training/activations.ts';
import { TrainingNetwork, type NetworkOptions } from '../../src/training/network.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes, expectWithinShare } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { TRAINING_CASES, trainingCase, weightsOf, type TrainingCase } from '../support/training.ts';

/** f16 has eleven bits: an activation is off by up to 4.9e-4 of itself. */
const LOSS_SHARE = 1e-3;
/** Of a tensor's largest gradient: a hundred roundings of activations, one behind the other. */
const GRADIENT_SHARE = 1e-2;

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

const capacityOf = ({ lens, targets }: TrainingCase) => ({
  utterances: lens.length,
  frames: longestFrames(lens),
  labels: Math.max(...targets.map(({ length }) => length)),
});

/** Losses and gradients of a case in training mode. */
async function gradientsOf(each: TrainingCase, options: NetworkOptions) {
  const { config, features, lens, targets, draws, train } = each;
  const { dropout, auxLayers } = config;
  const network = await TrainingNetwork.create(context, openModel(each.files), capacityOf(each), {
    ...{ dropout, auxLayers, ...options },
  });
  const { losses } = await network.run(
    { features: features.data, lens, targets, draws },
    { reduction: train.reduction },
  );
  const gradients = await network.parameters.gradients();
  network.dispose();
  return { losses, gradients };
}

describe.each(TRAINING_CASES)('%s', (name) => {
  it('has losses and gradients near PyTorch’s', async () => {
    const each = await trainingCase(name);
    const { losses, gradients } = await gradientsOf(each, { precision: 'f16' });
    expectWithinShare(losses, each.train.lossPerUtterance, LOSS_SHARE, 'losses');
    for (const [tensor, expected] of weightsOf(each.train.grads)) {
      // One number out of much cancellation, down to the noise of f16.
      if (!tensor.endsWith('norm_final.eps')) {
        expectWithinShare(gradients.get(tensor) ?? [], expected, GRADIENT_SHARE, tensor);
      }
    }
  });
});

it('has the same bytes where layers keep their input alone', async () => {
  const each = await trainingCase('small');
  const [kept, recomputed] = [
    await gradientsOf(each, { precision: 'f16', recompute: false }),
    await gradientsOf(each, { precision: 'f16', recompute: true }),
  ];
  for (const [name, gradient] of kept.gradients) {
    expectSameBytes(recomputed.gradients.get(name) ?? new Float32Array(0), gradient, name);
  }
});

it('takes the memory that is planned, layers under two thirds of that of f32', async () => {
  const each = await trainingCase('deep');
  const model = openModel(each.files);
  const capacity = capacityOf(each);
  const keeping = { lowest: -1, recompute: false, hasDropout: false, combined: 0 };
  const sizes = { ...model.sizes.encoder, numEncoderLayers: 12 };
  const large = { utterances: 8, frames: 250 };
  const layers = (precision: 'f32' | 'f16') =>
    activationBytes(sizes, large, { ...keeping, from: 0, lowest: 0, precision });
  expect(layers('f16') / layers('f32')).toBeLessThan(0.65);
  const before = context.memory.get('activations') ?? 0;
  const network = await TrainingNetwork.create(context, model, capacity, { precision: 'f16', recompute: false });
  const planned = activationBytes(model.sizes.encoder, capacity, { ...keeping, precision: 'f16' });
  const taken = (context.memory.get('activations') ?? 0) - before;
  // What is beside: the step's blocks, and the loss's.
  expect(taken).toBeGreaterThan(planned);
  expect(taken).toBeLessThan(1.5 * planned);
  network.dispose();
});

it('does not go with balancers', async () => {
  const each = await trainingCase('small');
  const options = { precision: 'f16', shaping: { balancers: true } } as const;
  await failure('bad-argument', () =>
    TrainingNetwork.create(context, openModel(each.files), capacityOf(each), options),
  );
});
