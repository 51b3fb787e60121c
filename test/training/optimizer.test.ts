import { describe, expect, it } from 'vitest';
import type { Draws } from '../../src/training/draws.ts';
import { expectClose, expectWithinShare } from '../support/close.ts';
import { alsoInAll } from '../support/scope.ts';
import {
  scaledCase,
  tensorOf,
  trainingCase,
  trainingJson,
  trainingTensors,
  weightsOf,
  type ScaledCase,
  type TrainingCase,
  type TrainingCaseName,
} from '../support/training.ts';
import type { Reduction } from './twins/ctc.ts';
import type { Shaping } from './twins/encoder-layer.ts';
import { network } from './twins/network.ts';
import { clipFactor, newOptimizerState, optimizerStep, type OptimizerOptions } from './twins/optimizer.ts';
import { effectiveWeights, scaledGradients } from './twins/scaled.ts';

/** Golden weights are float64 rounded to float32. */
const STORED = 2 ** -23;
const LOSS = { absolute: 0, relative: 1e-9 };

interface Golden {
  optimizer: string;
  lr: number;
  betas: [number, number];
  eps: number;
  weight_decay?: number;
  clip: number;
  reduction: Reduction;
  trainable: 'all' | string[];
  steps: { loss: number; grad_norm_before_clip: number; clip_factor: number }[];
}

/** Steps on one batch from a case's weights, compared with PyTorch's after each step and at the end. */
async function expectSteps(
  { config, model, features, lens, targets }: TrainingCase,
  folder: string,
  draws?: Draws,
): Promise<void> {
  const golden = await trainingJson<Golden>(`${folder}/steps.json`);
  const steps = await trainingTensors(`${folder}/steps.pt`);
  const weights = weightsOf(model);
  const state = newOptimizerState();
  const batch = { features: features.data, lens, targets };
  const options: OptimizerOptions = {
    ...golden,
    kind: golden.optimizer === 'AdamW' ? 'adamw' : 'adam',
    weightDecay: golden.weight_decay,
    maxNorm: golden.clip,
  };
  const isTrained = (name: string) =>
    golden.trainable === 'all' || golden.trainable.some((prefix) => name.startsWith(prefix));
  golden.steps.forEach((expected, k) => {
    const { loss, gradients } = network(weights, config, batch, { reduction: golden.reduction, draws });
    const trained = new Map([...gradients].filter(([name]) => isTrained(name)));
    const norm = optimizerStep(weights, trained, state, options);
    expectClose([loss], [expected.loss], LOSS, `loss of step ${k + 1}`);
    expectClose([norm], [expected.grad_norm_before_clip], LOSS, `norm of step ${k + 1}`);
    expectClose([clipFactor(norm, golden.clip)], [expected.clip_factor], LOSS, `clipping of step ${k + 1}`);
    for (const [name, { data }] of steps) {
      const [, step, tensor] = /^step(\d+)\.(.*)$/.exec(name) ?? [];
      if (Number(step) === k + 1) {
        expectWithinShare(weights.get(tensor) ?? [], data, STORED, name);
      }
    }
  });
  for (const [name, { data }] of await trainingTensors(`${folder}/final.pt`)) {
    expectWithinShare(weights.get(name) ?? [], data, STORED, name);
  }
}

describe('steps of the optimizer', () => {
  it.each(alsoInAll<TrainingCaseName>([], ['small', 'noproj', 'deep']))("are PyTorch's Adam: %s", async (name) => {
    const golden = await trainingCase(name);
    // The small case clips in all steps but one; the deep one trains with the same draws at each step.
    await expectSteps(golden, `${name}/adam`, name === 'deep' ? golden.draws : undefined);
  });

  it("are PyTorch's AdamW over the last layer and the head alone", async () => {
    await expectSteps(await trainingCase('small'), 'small/frozen');
  });

  it("are icefall's Eve over weights and scales", async () => {
    const golden = await scaledCase();
    const state = newOptimizerState();
    const stored = weightsOf(golden.stored);
    for (const { loss: expected, lr } of golden.eve.steps) {
      const { loss, gradients } = runScaled(golden, stored, {});
      expectClose([loss], [expected], LOSS, 'loss');
      const { betas, eps } = golden.eve;
      // PyTorch has the factor of the decay in float32, in float64 as well.
      const weightDecay = 1 - Math.fround(1 - golden.eve.weight_decay);
      optimizerStep(stored, scaledGradients(stored, gradients), state, { kind: 'eve', lr, betas, eps, weightDecay });
    }
    for (const [name, { data }] of await trainingTensors('scaled/eve_final.pt')) {
      expectWithinShare(stored.get(name) ?? [], data, STORED, name);
    }
  });

  it('are not clipped by a norm within the limit', () => {
    expect(clipFactor(4.9, 5)).toBe(1);
    expect(clipFactor(4.9)).toBe(1);
  });

  it('keep single numbers from -10 to 2 in Eve, and no others', () => {
    const weights = new Map([
      ['scale', Float64Array.of(1.9)],
      ['eps', Float64Array.of(-9.9)],
      ['w', Float64Array.of(1.9, -9.9)],
    ]);
    const gradients = new Map([
      ['scale', Float64Array.of(-1)],
      ['eps', Float64Array.of(1)],
      ['w', Float64Array.of(-1, 1)],
    ]);
    const options = { kind: 'eve', lr: 1, betas: [0.9, 0.98], eps: 0 } as const;
    optimizerStep(weights, gradients, newOptimizerState(), options);
    expect([...weights.values()].flatMap((values) => [...values])).toEqual([2, -10, 2.9, -10.9]);
  });

  it('are skipped and counted if a gradient is not finite', () => {
    const weights = new Map([['w', Float64Array.of(1, 2)]]);
    const state = newOptimizerState();
    const options = { kind: 'adam', lr: 1, betas: [0.9, 0.98], eps: 1e-9 } as const;
    optimizerStep(weights, new Map([['w', Float64Array.of(0, NaN)]]), state, options);
    expect(state).toMatchObject({ taken: 0, skipped: 1 });
    expect(weights.get('w')).toEqual(Float64Array.of(1, 2));
  });
});

/** The twin over icefall's parametrisation, gradients of the sum. */
function runScaled(
  { config, features, lens, targets }: ScaledCase,
  stored: Map<string, Float64Array>,
  shaping: Shaping,
) {
  const batch = { features: features.data, lens, targets };
  return network(effectiveWeights(stored), config, batch, { reduction: 'sum', shaping });
}

describe("icefall's gradients", () => {
  it.each<[string, Shaping]>([
    ['grads', {}],
    ['grads_filter', { filter: true }],
    ['grads_balancers_and_filter', { filter: true, balancers: true }],
  ])('%s', async (file, shaping) => {
    const golden = await scaledCase();
    const stored = weightsOf(golden.stored);
    const gradients = scaledGradients(stored, runScaled(golden, stored, shaping).gradients);
    const expected = await trainingTensors(`scaled/${file}.pt`);
    expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, gradient] of gradients) {
      expectWithinShare(gradient, tensorOf(expected, name).data, STORED, name);
    }
  });
});
