import { RillError } from '../errors.ts';

/** Optimizers, in the order of adam_step.wgsl's `kind`. */
export const OPTIMIZERS: readonly OptimizerName[] = ['adam', 'adamw', 'eve'];
/** An optimizer: PyTorch's, or icefall's Eve. */
export type OptimizerName = 'adam' | 'adamw' | 'eve';

/**
 * A running average of the weights. With `period`: icefall's `model_avg`, the mean over all steps, taken every so many of them
 * (icefall: 100). With `decay`: an exponential mean, which keeps so much of itself in each step (0.99 of the bundled model).
 */
export type Average = PeriodicAverage | ExponentialAverage;

/** The mean over all steps. */
export interface PeriodicAverage {
  /** Steps from one time that it is taken to the next. */
  period: number;
}

/** A mean of the last steps. */
export interface ExponentialAverage {
  /** How much of itself it keeps in each step, between 0 and 1. */
  decay: number;
}

/** How parameters follow their gradients; what is left out is the optimizer's default. */
export interface OptimizerOptions {
  /** `adam` by default. `adamw` is PyTorch's, `eve` icefall's (optim.py). */
  optimizer?: OptimizerName;
  /** Decay of the mean of gradients, and of their squares; 0.9 and 0.98 by default. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-9 by default, of `eve` 1e-8. */
  eps?: number;
  /** 0 by default, of `eve` 1e-3. */
  weightDecay?: number;
  /** Norm that all gradients together are clipped to; 5 by default, Infinity for none. */
  maxGradNorm?: number;
  /** What a parameter's learning rate is multiplied by, by its name, a log-scale's by `scale.` and the name; 1 by default. */
  relativeRate?: (name: string) => number;
  /**
   * icefall's scaled parametrisation: the log-scale s of each tensor that has one, by the tensor's name. The tensor is W = w * e^s;
   * w and s are what is stepped, clipped and decayed. None by default.
   */
  scales?: ReadonlyMap<string, number>;
  /** The average that is kept; none by default. */
  average?: Average;
}

/** Those of an optimizer's options that each step takes. */
export type StepOptions = Required<
  Pick<OptimizerOptions, 'optimizer' | 'betas' | 'eps' | 'weightDecay' | 'maxGradNorm'>
> & {
  /** Steps from one average to the next, 0 for none; and what an exponential mean keeps, 0 for a mean over all steps. */
  averagePeriod: number;
  averageDecay: number;
};

/** @throws RillError `bad-argument` for options out of range. */
export function stepOptions(options: OptimizerOptions): StepOptions {
  const { optimizer = 'adam', betas = [0.9, 0.98], maxGradNorm = 5, average } = options;
  const isEve = optimizer === 'eve';
  const { eps = isEve ? 1e-8 : 1e-9, weightDecay = isEve ? 1e-3 : 0 } = options;
  const isFine =
    OPTIMIZERS.includes(optimizer) &&
    betas.every((beta) => beta >= 0 && beta < 1) &&
    eps >= 0 &&
    weightDecay >= 0 &&
    maxGradNorm > 0 &&
    isAverage(average) &&
    [...(options.scales?.values() ?? [])].every(Number.isFinite);
  if (!isFine) {
    throw new RillError('bad-argument', {
      got: JSON.stringify({ optimizer, betas, eps, weightDecay, maxGradNorm, average }),
      expected: `optimizer ${OPTIMIZERS.join(', ')}; betas from 0 to less than 1; eps and weightDecay not below 0; maxGradNorm above 0; an average of a period from 1 on, or of a decay between 0 and 1; scales that are numbers`,
      remedy: 'Leave an option out for its default.',
    });
  }
  const averagePeriod = !average ? 0 : 'period' in average ? average.period : 1;
  const averageDecay = average && 'decay' in average ? average.decay : 0;
  return { optimizer, betas, eps, weightDecay, maxGradNorm, averagePeriod, averageDecay };
}

function isAverage(average: Average | undefined): boolean {
  if (average && 'period' in average) {
    return Number.isSafeInteger(average.period) && average.period >= 1 && average.period < 2 ** 32;
  }
  return !average || (average.decay > 0 && average.decay < 1);
}
