/** The optimizer's kernels against their float64 twins, and what it saves. */
import { afterAll, describe, expect, it } from 'vitest';
import { expectedTensors } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import { pack, trainingLayouts } from '../../src/training/layout.ts';
import type { OptimizerOptions } from '../../src/training/optimizer-options.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { Parameters, type TrainedParameter } from '../../src/training/parameters.ts';
import { heldTensors, type SavedOptimizer } from '../../src/training/saved-optimizer.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes, expectWithinShare } from '../support/close.ts';
import { randoms } from '../support/random.ts';
import { averageAfter } from './twins/average.ts';
import { newOptimizerState, optimizerStep } from './twins/optimizer.ts';
import { effectiveWeights, scaleName, scaledGradients } from './twins/scaled.ts';
import { weightOf } from './twins/weights.ts';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

/** Matrices of odd sizes, gates, single numbers, and a matrix of more than one sum of squares. */
const sizes = {
  encoder: {
    ...{ numFeatures: 9, channels: [1, 2, 3] as const, dModel: 5, rnnHiddenSize: 7, hasProjection: true },
    ...{ dimFeedforward: 1030, numEncoderLayers: 1 },
  },
  vocabSize: 3,
  hasCtc: true,
};
const layouts = trainingLayouts(sizes, 'ctc');
const weights = new Map(
  Array.from(
    expectedTensors(sizes),
    ([name, shape], i) => [name, { shape, values: randoms(elementCount(shape), i + 1, 0.3) }] as const,
  ),
);
/** Log-scales of most tensors: not of the norm's number, nor of the head; one that Eve keeps from 2 on. */
const scales = new Map(
  [...weights.keys()].filter((name) => !/eps$|^ctc/.test(name)).map((name, i) => [name, i === 0 ? 1.999 : i / 8 - 1]),
);

const LEARNING_RATE = 0.01;
const STEPS = 4;
/** Of a tensor's largest element: four steps of a dozen float32 operations each. */
const STEP_SHARE = 2e-6;

/** Gradients of a step: those of the first are clipped. */
const gradientOf = ({ name, shape }: TrainedParameter, step: number) =>
  randoms(elementCount(shape), [...weights.keys()].indexOf(name) + 100 * step, step === 1 ? 2 : 0.01);

function stepOnGpu(parameters: Parameters, optimizer: Optimizer, step: number, factor = 1) {
  for (const parameter of parameters.trained) {
    const values = gradientOf(parameter, step).map((value) => factor * value);
    context.device.queue.writeBuffer(parameter.gradient, 0, pack(parameter.layout, values));
  }
  const encoder = context.device.createCommandEncoder();
  optimizer.step(encoder, LEARNING_RATE);
  context.device.queue.submit([encoder.finish()]);
}

const load = (values: ReadonlyMap<string, Float32Array<ArrayBuffer>>) => {
  const held = Array.from(
    weights,
    ([name, { shape, values: own }]) => [name, { shape, values: values.get(name) ?? own }] as const,
  );
  return Parameters.load(context, heldTensors(new Map(held)), layouts);
};

/** w and s of the twin, whose W are the weights. */
function storedOf({ scales: given }: OptimizerOptions): Map<string, Float64Array> {
  const stored = new Map<string, Float64Array>();
  weights.forEach(({ values }, name) => {
    const scale = given?.get(name);
    stored.set(
      name,
      Float64Array.from(values, (value) => value / Math.exp(scale ?? 0)),
    );
    if (scale !== undefined) {
      stored.set(scaleName(name), Float64Array.of(scale));
    }
  });
  return stored;
}

const CASES: readonly [string, OptimizerOptions][] = [
  ['Adam with decay, and the mean of every second step', { weightDecay: 0.01, average: { period: 2 } }],
  ['AdamW', { optimizer: 'adamw', weightDecay: 0.5 }],
  ['Eve', { optimizer: 'eve' }],
  ['scaled Adam', { scales }],
  ['scaled AdamW', { optimizer: 'adamw', weightDecay: 0.5, scales }],
  ['scaled Eve with an exponential mean', { optimizer: 'eve', scales, average: { decay: 0.9 } }],
];

describe.each(CASES)('%s', (_, options) => {
  it('steps and averages as its float64 twin', async () => {
    const parameters = await load(new Map());
    const optimizer = await Optimizer.create(context, parameters, options);
    const stored = storedOf(options);
    const averages = effectiveWeights(stored);
    const state = newOptimizerState();
    const { optimizer: kind = 'adam', weightDecay = kind === 'eve' ? 1e-3 : 0, average } = options;
    const eps = kind === 'eve' ? 1e-8 : 1e-9;
    for (let step = 1; step <= STEPS; step++) {
      stepOnGpu(parameters, optimizer, step);
      const gradients = new Map(
        parameters.trained.map((each) => [each.name, Float64Array.from(gradientOf(each, step))] as const),
      );
      const norm = optimizerStep(stored, scaledGradients(stored, gradients), state, {
        ...{ kind, lr: LEARNING_RATE, betas: [0.9, 0.98], eps, weightDecay, maxNorm: 5 },
      });
      expect((await optimizer.readState()).gradNorm / norm).toBeCloseTo(1, 5);
      for (const [name, value] of effectiveWeights(stored)) {
        const before = weightOf(averages, name);
        averages.set(name, average ? averageAfter(before, value, step, average) : value);
      }
    }
    const [values, averaged, { tensors }] = [
      await parameters.values(),
      await optimizer.averages(),
      await optimizer.save(),
    ];
    for (const [name, value] of effectiveWeights(stored)) {
      expectWithinShare(values.get(name) ?? [], value, STEP_SHARE, name);
      expectWithinShare(averaged.get(name) ?? [], weightOf(averages, name), STEP_SHARE, `average of ${name}`);
    }
    for (const [name, scale] of stored) {
      if (name.endsWith('_scale')) {
        expectWithinShare(await tensors.read(`scale.${name.replace(/_scale$/, '')}`), scale, STEP_SHARE, name);
      }
    }
    optimizer.dispose();
    parameters.dispose();
  });

  it('goes on from what it saved to the byte', async () => {
    const parameters = await load(new Map());
    const optimizer = await Optimizer.create(context, parameters, options);
    stepOnGpu(parameters, optimizer, 1);
    stepOnGpu(parameters, optimizer, 2, NaN);
    const values = await parameters.values();
    const saved: SavedOptimizer = await optimizer.save();
    expect(saved.taken).toBe(1);
    const parametersAgain = await load(values);
    const again = await Optimizer.create(context, parametersAgain, options);
    await again.load(saved);
    for (const step of [3, 4]) {
      stepOnGpu(parameters, optimizer, step);
      stepOnGpu(parametersAgain, again, step);
    }
    const [expected, actual] = [await parameters.values(), await parametersAgain.values()];
    for (const [name, value] of expected) {
      expectSameBytes(actual.get(name) ?? new Float32Array(0), value, name);
    }
    const [whole, resumed] = [await optimizer.save(), await again.save()];
    expect(resumed.words).toEqual(whole.words);
    expect([...resumed.tensors.tensors.keys()]).toEqual([...whole.tensors.tensors.keys()]);
    for (const name of whole.tensors.tensors.keys()) {
      expectSameBytes(await resumed.tensors.read(name), await whole.tensors.read(name), name);
    }
    [optimizer, again, parameters, parametersAgain].forEach((each) => {
      each.dispose();
    });
  });
});

it('refuses what other parameters were saved with, and changes nothing', async () => {
  const parameters = await load(new Map());
  const [plain, scaled] = [
    await Optimizer.create(context, parameters),
    await Optimizer.create(context, parameters, { scales }),
  ];
  const saved = await plain.save();
  await expect(scaled.load(saved)).rejects.toMatchObject({
    code: 'bad-argument',
    got: expect.stringContaining('scale.') as string,
  });
  await expect(plain.load({ ...saved, words: [1, 2] })).rejects.toMatchObject({ code: 'bad-argument' });
  await expect(plain.load({ ...saved, taken: -1, words: undefined })).rejects.toMatchObject({ code: 'bad-argument' });
  expect((await scaled.save()).words).toEqual(saved.words);
  [plain, scaled, parameters].forEach((each) => {
    each.dispose();
  });
});

it.each<OptimizerOptions>([
  { average: { period: 0 } },
  { average: { decay: 1 } },
  { scales: new Map([['ctc_output.1.weight', NaN]]) },
])('refuses %o', async (options) => {
  const parameters = await load(new Map());
  await expect(Optimizer.create(context, parameters, options)).rejects.toMatchObject({ code: 'bad-argument' });
  parameters.dispose();
});
