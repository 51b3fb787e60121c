/**
 * A running average of weights behind a step, counted from 1.
 *
 *     a period, icefall's model_avg: avg += (w − avg) period / step, in each step that is a multiple of it
 *     a decay:                       avg += (w − avg) (1 − decay)
 */
import type { Average } from '../../../src/training/optimizer-options.ts';
import type { Numbers } from './numbers.ts';

export function averageAfter(average: Numbers, weights: Numbers, step: number, how: Average): Float64Array {
  const mean = 'period' in how && step % how.period === 0 ? how.period / step : 0;
  const weight = 'decay' in how ? 1 - how.decay : mean;
  return Float64Array.from(average, (value, k) => value + (weights[k] - value) * weight);
}
