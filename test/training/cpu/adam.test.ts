import { expect, it } from 'vitest';
import { expectedTensors } from '../../../src/model/sizes.ts';
import { elementCount } from '../../../src/model/tensors.ts';
import { Adam } from '../../../src/training/cpu/adam.ts';
import { Parameters, inOrder, type Parameter } from '../../../src/training/cpu/parameters.ts';
import { heldTensors } from '../../../src/training/saved-optimizer.ts';
import { Heap } from '../../../src/wasm/memory.ts';
import { expectWithinShare } from '../../support/close.ts';
import { randoms } from '../../support/random.ts';
import { newOptimizerState, optimizerStep } from '../twins/optimizer.ts';

const sizes = {
  encoder: {
    ...{ numFeatures: 9, channels: [1, 2, 3] as const, dModel: 5, rnnHiddenSize: 7, hasProjection: true },
    ...{ dimFeedforward: 11, numEncoderLayers: 2 },
  },
  vocabSize: 3,
  hasCtc: true,
};
const weights = new Map(
  Array.from(
    expectedTensors(sizes),
    ([name, shape], i) => [name, { shape, values: randoms(elementCount(shape), i + 1, 0.3) }] as const,
  ),
);
const LEARNING_RATE = 0.01;
/** Of a tensor's largest element: each step rounds weights and moments to float32. */
const STEP_SHARE = 1e-6;

it('steps as the float64 twin, by padded tensors of the last layer, and skips what is not finite', async () => {
  const parameters = await Parameters.load(new Heap(), heldTensors(weights), sizes, 1);
  const relativeRate = (name: string) => (name.startsWith('ctc') ? 10 : 1);
  const adam = new Adam(parameters, { relativeRate });
  const shapeOf = ({ name }: Parameter) => weights.get(name)?.shape ?? [];
  const inOrderOf = (parameter: Parameter) => inOrder(parameter, parameters.values(parameter), shapeOf(parameter));
  const twins = new Map(parameters.all.map((each) => [each.name, Float64Array.from(inOrderOf(each))]));
  // The twin knows one rate: each group is a twin of its own, whose gradients are clipped by the norm of all.
  const groups = [1, 10].map((rate) => ({ rate, state: newOptimizerState() }));
  for (const step of [1, 2, 3]) {
    // The first step's are clipped.
    const scale = step === 1 ? 2 : 0.01;
    const gradients = new Map<string, Float64Array>();
    parameters.all.forEach((parameter, i) => {
      const values = randoms(elementCount(shapeOf(parameter)), 100 * step + i, scale);
      gradients.set(parameter.name, Float64Array.from(values));
      const to = parameters.gradients(parameter);
      values.forEach((value, index) => (to[parameter.placeOf(index)] = value));
    });
    const norm = Math.hypot(...[...gradients.values()].map((values) => Math.hypot(...values)));
    const clip = Math.min(1, 5 / (norm + 1e-6));
    for (const { rate, state } of groups) {
      const own = [...gradients].filter(([name]) => relativeRate(name) === rate);
      const clipped = new Map(own.map(([name, values]) => [name, values.map((value) => clip * value)]));
      const lr = rate * LEARNING_RATE;
      optimizerStep(twins, clipped, state, { kind: 'adam', lr, betas: [0.9, 0.98], eps: 1e-9 });
    }
    const { gradNorm, isSkipped } = adam.step(LEARNING_RATE);
    expect(isSkipped).toBe(false);
    expect(Math.abs(gradNorm / norm - 1)).toBeLessThan(1e-6);
    parameters.gradients(parameters.all[3])[0] = step === 2 ? NaN : Infinity;
    expect(adam.step(LEARNING_RATE).isSkipped).toBe(true);
  }
  for (const parameter of parameters.all) {
    expectWithinShare(inOrderOf(parameter), twins.get(parameter.name) ?? [], STEP_SHARE, parameter.name);
    // Padding stays zero.
    const sum = (values: Float32Array) => values.reduce((total, value) => total + Math.abs(value), 0);
    expect(sum(parameters.values(parameter))).toBeCloseTo(sum(inOrderOf(parameter)), 5);
  }
});
