/**
 * A layer beside which its input goes by, α of it counting.
 *
 *     out = α y + (1 − α) x
 *     dy = α dout;  dx = (1 − α) dout
 */
import type { Numbers } from './numbers.ts';

export function bypass({ y, x }: Record<'y' | 'x', Numbers>, alpha: number): Float64Array {
  return Float64Array.from(y, (value, k) => alpha * value + (1 - alpha) * x[k]);
}

export function bypassBackward(dout: Numbers, alpha: number): Record<'dx' | 'dy', Float64Array> {
  return {
    dx: Float64Array.from(dout, (value) => (1 - alpha) * value),
    dy: Float64Array.from(dout, (value) => alpha * value),
  };
}
