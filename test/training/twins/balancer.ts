/**
 * icefall's ActivationBalancer: forward is the identity; backward pushes a channel whose values are too rarely or too
 * often positive, too small or too large.
 *
 *     p = share of x > 0, m = mean |x|, in the channel
 *     φ = relu(lo − p) μ / lo + relu(p − hi) μ / (hi − 1);   μ = 0.01 / 0.25
 *     dx = dy − |dy| (φ + ([m < 0.2] − [m > max_abs]) ([x > 0] − ½) 2μ)
 *
 * x (outer, channels, inner); with channels last, inner is 1. In icefall padding counts in p and m; here what pads may be left
 * out of them.
 */
import type { Numbers } from './numbers.ts';

export interface BalancerOptions {
  /** lo */
  minPositive: number;
  /** hi */
  maxPositive: number;
  maxAbs: number;
}

const MIN_ABS = 0.2;
/** μ: 0.01, divided by the probability with which a balancer acts. */
const MAX_FACTOR = 0.01 / 0.25;

const relu = (value: number) => Math.max(0, value);

/** How x (outer, channels, inner) lies. */
interface BalancerSizes {
  channels: number;
  inner: number;
}

/** Of each channel: φ, and ([m < 0.2] − [m > max_abs]) 2μ. */
export function balancerPushes(
  x: Numbers,
  { channels, inner }: BalancerSizes,
  { minPositive, maxPositive, maxAbs }: BalancerOptions,
  isPadding: (at: number) => boolean = () => false,
): { share: number; size: number }[] {
  const sums = Array.from({ length: channels }, () => ({ positive: 0, magnitude: 0, count: 0 }));
  for (let at = 0; at < x.length; at++) {
    if (!isPadding(at)) {
      const own = sums[Math.floor(at / inner) % channels];
      own.positive += x[at] > 0 ? 1 : 0;
      own.magnitude += Math.abs(x[at]);
      own.count++;
    }
  }
  return sums.map(({ positive, magnitude, count }) => {
    const [p, m] = [positive / count, magnitude / count];
    const share =
      (relu(minPositive - p) * MAX_FACTOR) / minPositive + (relu(p - maxPositive) * MAX_FACTOR) / (maxPositive - 1);
    return { share, size: ((m < MIN_ABS ? 1 : 0) - (m > maxAbs ? 1 : 0)) * 2 * MAX_FACTOR };
  });
}

export function balancerBackward(
  { dy, x }: Record<'dy' | 'x', Numbers>,
  sizes: BalancerSizes,
  options: BalancerOptions,
  isPadding?: (at: number) => boolean,
): Float64Array {
  const pushes = balancerPushes(x, sizes, options, isPadding);
  return Float64Array.from(dy, (d, at) => {
    const { share, size } = pushes[Math.floor(at / sizes.inner) % sizes.channels];
    return d - Math.abs(d) * (share + size * ((x[at] > 0 ? 1 : 0) - 0.5));
  });
}
