/**
 * icefall's GradientFilter around an LSTM: utterances with a gradient far above the others' count for less.
 *
 *     n_i = rms of dx of utterance i;  m = lower median of n
 *     q_i = (10 m + n_i) / (10 m + 1e-20)
 *     dx_i *= 1 / q_i;  gradients of all weights *= 1 / mean(q)
 *
 * dx (N, T', width). What pads has no gradient: T' counts in n and in m alike, and q does not depend on it.
 */
import type { Numbers } from './numbers.ts';

const THRESHOLD = 10;
const TINY = 1e-20;

/** The filtered dx, and the factor for the gradients of all weights. */
export function gradientFilter(dx: Numbers, batch: number): { dx: Float64Array; weightFactor: number } {
  const size = dx.length / batch;
  const utterances = Array.from({ length: batch }, (_, n) =>
    Float64Array.from({ length: size }, (_none, k) => dx[n * size + k]),
  );
  const norms = utterances.map((own) => Math.sqrt(own.reduce((sum, value) => sum + value ** 2, 0) / size));
  const median = [...norms].sort((a, b) => a - b)[(batch - 1) >> 1];
  const factors = norms.map((norm) => (THRESHOLD * median + norm) / (THRESHOLD * median + TINY));
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / batch;
  return {
    dx: Float64Array.from(dx, (value, k) => value / factors[Math.floor(k / size)]),
    weightFactor: 1 / mean,
  };
}
