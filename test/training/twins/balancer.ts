/**
 * icefall's ActivationBalancer: forward is the identity; backward pushes a channel whose values are too rarely or too
 * often positive, too small or too large.
 *
 *     p = share of x > 0, m = mean |x|, in the channel
 *     φ = relu(lo − p) μ / lo + relu(p − hi) μ / (hi − 1);   μ = 0.01 / 0.25
 *     dx = dy − |dy| (φ + ([m < 0.2] − [m > max_abs]) ([x > 0] − ½) 2μ)
 *
 * x (outer, channels, inner); with channels last, inner is 1.
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

export function balancerBackward(
  { dy, x }: Record<'dy' | 'x', Numbers>,
  { channels, inner }: { channels: number; inner: number },
  { minPositive, maxPositive, maxAbs }: BalancerOptions,
): Float64Array {
  const count = x.length / channels;
  const channelOf = (at: number) => Math.floor(at / inner) % channels;
  const positive = new Float64Array(channels);
  const magnitude = new Float64Array(channels);
  for (let at = 0; at < x.length; at++) {
    positive[channelOf(at)] += (x[at] > 0 ? 1 : 0) / count;
    magnitude[channelOf(at)] += Math.abs(x[at]) / count;
  }
  return Float64Array.from(dy, (d, at) => {
    const [p, m] = [positive[channelOf(at)], magnitude[channelOf(at)]];
    const share =
      (relu(minPositive - p) * MAX_FACTOR) / minPositive + (relu(p - maxPositive) * MAX_FACTOR) / (maxPositive - 1);
    const size = (m < MIN_ABS ? 1 : 0) - (m > maxAbs ? 1 : 0);
    return d - Math.abs(d) * (share + size * ((x[at] > 0 ? 1 : 0) - 0.5) * 2 * MAX_FACTOR);
  });
}
