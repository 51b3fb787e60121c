import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import { byUtterance } from '../../src/training/inputs.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { padded } from '../../src/webgpu/weights.ts';
import type { LossOptions } from '../../src/training/losses/loss.ts';
import type { TrainingBatch } from '../../src/training/batch.ts';
import { TrainingNetwork, type NetworkOptions } from '../../src/training/network.ts';
import type { Capacity } from '../../src/training/operations.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes, expectWithinShare } from '../support/close.ts';
import {
  LOSS_SHARE,
  expectNetworkGradients,
  trainingArray,
  trainingCase,
  trainingJson,
  trainingTensors,
  weightsOf,
} from '../support/training.ts';

const context = await createNodeContext();
const small = await trainingCase('small');
afterAll(() => {
  context.dispose();
});

const networkFor = (capacity: Capacity, options: NetworkOptions = {}) =>
  TrainingNetwork.create(context, openModel(small.files), capacity, options);

/** A micro-batch of a step; its gradients are added to those of the ones before. */
async function microBatch(network: TrainingNetwork, batch: TrainingBatch, options: LossOptions, isFirst: boolean) {
  network.submit(batch, options, { isFirst });
  return network.losses();
}

/** A step of one batch. */
async function stepOf(network: TrainingNetwork, batch: TrainingBatch, options: LossOptions) {
  const loss = await microBatch(network, batch, options, true);
  return { ...loss, gradients: await network.parameters.gradients() };
}

/** A batch that begins with features. */
type FeatureBatch = TrainingBatch & { features: Float32Array };

/** A golden batch of its own, for the weights of `small`. */
async function batchOf(name: string, targets: number[][]): Promise<FeatureBatch> {
  const { data: features } = await trainingArray(`${name}/features`);
  return { features, lens: [...(await trainingArray(`${name}/feature_lens`)).data], targets };
}

/** Some utterances of a batch. */
function utterancesOf({ features, lens, targets }: FeatureBatch, from: number, to: number): FeatureBatch {
  const size = features.length / lens.length;
  return {
    features: features.subarray(from * size, to * size),
    lens: lens.slice(from, to),
    targets: targets.slice(from, to),
  };
}

/** The same utterances with NaN in place of what pads them, and with more of it behind. */
function paddedWithNan({ features, lens, ...rest }: FeatureBatch): TrainingBatch {
  const { numFeatures } = small.config;
  const size = features.length / lens.length;
  const further = size + 9 * numFeatures;
  const padded = new Float32Array(lens.length * further).fill(NaN);
  lens.forEach((frames, n) => {
    padded.set(features.subarray(n * size, n * size + frames * numFeatures), n * further);
  });
  return { features: padded, lens, ...rest };
}

describe('to the byte, loss and gradients in training mode do not depend on', () => {
  const { lens, targets, draws } = small;
  const batch: FeatureBatch = { features: small.features.data, lens, targets, draws };
  const options = { dropout: small.config.dropout, auxLayers: small.config.auxLayers };
  const exact = { utterances: 3, frames: 14, labels: 5 };
  let network: TrainingNetwork;
  let first: Awaited<ReturnType<typeof stepOf>>;

  beforeAll(async () => {
    network = await networkFor(exact, options);
    first = await stepOf(network, batch, { reduction: 'mean' });
  });
  afterAll(() => {
    network.dispose();
  });

  async function expectTheSame(of: TrainingNetwork, other: TrainingBatch) {
    const again = await stepOf(of, other, { reduction: 'mean' });
    expect(again.losses).toEqual(first.losses);
    expect(again.loss).toBe(first.loss);
    for (const [name, gradient] of first.gradients) {
      expectSameBytes(again.gradients.get(name) ?? new Float32Array(), gradient, name);
    }
  }

  it('the run, nor on what pads the features or how far', () => expectTheSame(network, paddedWithNan(batch)));

  it('the batch before, though its loss was not finite', async () => {
    const lost = await stepOf(network, { ...batch, features: batch.features.map(() => NaN) }, { reduction: 'mean' });
    expect(lost.losses.some(Number.isFinite)).toBe(false);
    await expectTheSame(network, batch);
  });

  it('the largest batch that there is room for', async () => {
    const roomy = await networkFor({ utterances: 5, frames: 23, labels: 11 }, options);
    await expectTheSame(roomy, batch);
    roomy.dispose();
  });

  it('whether activations are kept, or computed once more on the way back', async () => {
    const again = await networkFor(exact, { ...options, recompute: true });
    await expectTheSame(again, batch);
    again.dispose();
  });
});

it('a network that begins at a layer gives the gradients of the whole one that is frozen below, to the byte', async () => {
  const { lens, targets } = small;
  const capacity = { utterances: 3, frames: 14, labels: 5 };
  const whole = await networkFor(capacity, { trainable: ['encoder.encoder.layers.1.', 'ctc_output.'] });
  const expected = await stepOf(whole, { features: small.features.data, lens, targets }, { reduction: 'mean' });
  const { dModel } = openModel(small.files).sizes.encoder;
  const rows = { buffer: whole.activations.layers[1].x, bytes: 4 * 3 * longestFrames(lens) * padded(dModel) };
  const states = byUtterance(await readBuffers(context, [rows]), lens, dModel);
  whole.dispose();

  const frames = Math.max(...states.map(({ length }) => length / dModel));
  // What pads is not read.
  const hidden = new Float32Array(states.length * frames * dModel).fill(NaN);
  states.forEach((own, n) => hidden.set(own, n * frames * dModel));
  const upper = await networkFor(capacity, { from: 1 });
  const got = await stepOf(upper, { hidden, lens, targets }, { reduction: 'mean' });
  upper.dispose();

  expect(got.losses).toEqual(expected.losses);
  expect([...got.gradients.keys()]).toEqual([...expected.gradients.keys()]);
  for (const [name, gradient] of expected.gradients) {
    expectSameBytes(got.gradients.get(name) ?? new Float32Array(), gradient, name);
  }
});

describe('utterances of a batch', () => {
  interface Golden {
    targets: number[][];
    sum: { loss: number };
    mean: { loss: number };
    per_utterance_zero_infinity: number[];
    without_zero_infinity_d_logits_are_nan: boolean[];
  }
  let network: TrainingNetwork;
  /** Two do not fit, one just fits, one has no labels. */
  let golden: Golden;
  let batch: FeatureBatch;
  const expectedOf = async (reduction: 'sum' | 'mean') =>
    weightsOf(await trainingTensors(`small/infinite/grads_${reduction}.pt`));

  beforeAll(async () => {
    network = await networkFor({ utterances: 5, frames: 10, labels: 6 });
    golden = await trainingJson<Golden>('small/infinite/loss.json');
    batch = await batchOf('small/infinite', golden.targets);
  });
  afterAll(() => {
    network.dispose();
  });

  it("that do not fit leave PyTorch's mean and its gradients to the others", async () => {
    const { losses, loss, gradients } = await stepOf(network, batch, { reduction: 'mean' });
    expectWithinShare(losses, golden.per_utterance_zero_infinity, LOSS_SHARE, 'losses');
    expectWithinShare([loss], [golden.mean.loss], LOSS_SHARE, 'mean');
    expectNetworkGradients(gradients, await expectedOf('mean'));
  });

  it("give PyTorch's sum and its gradients, and alone the same losses to the byte and gradients that add up", async () => {
    const { losses, loss, gradients } = await stepOf(network, batch, { reduction: 'sum' });
    expectWithinShare([loss], [golden.sum.loss], LOSS_SHARE, 'sum');
    expectNetworkGradients(gradients, await expectedOf('sum'));
    for (const [n, own] of losses.entries()) {
      const alone = await microBatch(network, utterancesOf(batch, n, n + 1), { reduction: 'sum' }, n === 0);
      expect(alone.losses).toEqual([own]);
    }
    expectNetworkGradients(await network.parameters.gradients(), gradients);
  });

  it('that do not fit have an infinite loss, and no gradient is a number, without zeroInfinity', async () => {
    const two = utterancesOf(batch, 0, 2);
    const { losses, loss, gradients } = await stepOf(network, two, { reduction: 'sum', zeroInfinity: false });
    const isNan = golden.without_zero_infinity_d_logits_are_nan.slice(0, 2);
    expect(losses.map((each) => each === Infinity)).toEqual(isNan);
    expect(loss).toBe(Infinity);
    for (const name of (await expectedOf('sum')).keys()) {
      expect(gradients.get(name)?.every(Number.isNaN), name).toBe(true);
    }
  });

  it("of a step in unequal micro-batches give PyTorch's gradients of them all", async () => {
    interface Accumulated {
      targets: number[][];
      '3+1 weighted 3/4 and 1/4': { loss: number[] };
    }
    const { targets, '3+1 weighted 3/4 and 1/4': parts } =
      await trainingJson<Accumulated>('small/accumulate/loss.json');
    const step = await batchOf('small/accumulate', targets);
    const options = { reduction: 'mean', utterancesInStep: 4 } as const;
    const three = await microBatch(network, utterancesOf(step, 0, 3), options, true);
    const one = await microBatch(network, utterancesOf(step, 3, 4), options, false);
    expectWithinShare([three.loss, one.loss], parts.loss, LOSS_SHARE, 'losses');
    const expected = weightsOf(await trainingTensors('small/accumulate/grads.pt'));
    expectNetworkGradients(await network.parameters.gradients(), expected);
  });
});
