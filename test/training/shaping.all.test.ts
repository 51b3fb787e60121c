/** icefall's parametrisation, gradient shaping and optimizer on the GPU, beside icefall's own. */
import { afterAll, describe, expect, it } from 'vitest';
import { encoderFrames } from '../../src/model/sizes.ts';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import type { DrawStep } from '../../src/training/draws.ts';
import { TrainingNetwork, type NetworkOptions } from '../../src/training/network.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import type { ShapingOptions } from '../../src/training/shaping-options.ts';
import { BALANCERS } from '../../src/training/shaping.ts';
import { balancersActing } from '../../src/training/draws.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes } from '../support/close.ts';
import {
  expectNetworkGradients,
  expectSteppedWeights,
  scaledCase,
  trainingTensors,
  weightsOf,
} from '../support/training.ts';
import { network } from './twins/network.ts';
import { effectiveWeights, scaleName, scaledGradients } from './twins/scaled.ts';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

const golden = await scaledCase();
const { files, features, lens, targets, config } = golden;
const stored = weightsOf(golden.stored);
const batch = { features: features.data, lens, targets };
const BALANCER_COUNT = BALANCERS.count(config.numEncoderLayers);
const draws = {
  ...{ alpha: [1, 1], layers: [], head: [] },
  balancers: new Array<boolean>(BALANCER_COUNT).fill(true),
};

const networkOf = (options: NetworkOptions) =>
  TrainingNetwork.create(
    context,
    openModel(files),
    { utterances: lens.length, frames: longestFrames(lens), labels: 3 },
    options,
  );

async function gradientsOf(shaping: ShapingOptions, given: typeof draws | DrawStep = draws) {
  const own = await networkOf({ shaping });
  await own.run({ ...batch, draws: given }, { reduction: 'sum' });
  const gradients = await own.parameters.gradients();
  own.dispose();
  return gradients;
}

/** Gradients of w and s, from those of W. */
const ofStored = (gradients: ReadonlyMap<string, Float32Array>) =>
  scaledGradients(stored, new Map(Array.from(gradients, ([name, values]) => [name, Float64Array.from(values)])));

it.each<[string, ShapingOptions]>([
  ['grads', {}],
  ['grads_filter', { gradientFilter: true }],
])("has icefall's gradients: %s", async (file, shaping) => {
  expectNetworkGradients(ofStored(await gradientsOf(shaping)), weightsOf(await trainingTensors(`scaled/${file}.pt`)));
});

describe('balancers', () => {
  /** icefall's own, in whose statistics the golden file has padding, are what the twin is compared with. */
  it('of all sites, with the filter, change gradients as the twin does where padding does not count', async () => {
    const shaping = { filter: true, balancers: true, lens: lens.map(encoderFrames) };
    const expected = network(effectiveWeights(stored), config, batch, { reduction: 'sum', shaping });
    expectNetworkGradients(await gradientsOf({ gradientFilter: true, balancers: true }), expected.gradients);
  });

  it('act by draws, in a quarter of all cases', async () => {
    const step = { seed: 12, microStep: 3 };
    const acting = balancersActing(step, BALANCER_COUNT);
    expect(new Set(acting).size).toBe(2);
    const shaping = { balancers: true };
    const [drawn, given] = [
      await gradientsOf(shaping, step),
      await gradientsOf(shaping, { ...draws, balancers: acting }),
    ];
    for (const [name, gradient] of given) {
      expectSameBytes(drawn.get(name) ?? new Float32Array(0), gradient, name);
    }
    const many = balancersActing({ seed: 3, microStep: 7 }, 4000).filter(Boolean).length;
    expect(Math.abs(many / 4000 - 0.25)).toBeLessThan(0.03);
  });
});

it("takes icefall's steps of Eve over weights and scales", async () => {
  const own = await networkOf({});
  const optimizer = await Optimizer.create(context, own.parameters, {
    ...{ optimizer: 'eve', scales: golden.scales, maxGradNorm: Infinity },
  });
  for (const { loss, lr } of golden.eve.steps) {
    const then = (encoder: GPUCommandEncoder) => {
      optimizer.step(encoder, lr);
    };
    own.submit(batch, { reduction: 'sum' }, { isFirst: true, then });
    expect((await own.losses()).loss / loss).toBeCloseTo(1, 4);
  }
  const final = weightsOf(await trainingTensors('scaled/eve_final.pt'));
  const expected = effectiveWeights(final);
  const actual = new Map(await own.parameters.values());
  const { tensors } = await optimizer.save();
  for (const name of golden.scales.keys()) {
    expected.set(scaleName(name), final.get(scaleName(name)) ?? new Float64Array(0));
    actual.set(scaleName(name), await tensors.read(`scale.${name}`));
  }
  expectSteppedWeights(actual, expected);
  optimizer.dispose();
  own.dispose();
});
