/**
 * DoubleSwish, element by element.
 *
 *     y = x s,  s = sigmoid(x − 1)
 *     dx = dy (y (1 − s) + s)
 */
import { sigmoid, type Numbers } from './numbers.ts';

export function doubleSwish(x: Numbers): Float64Array {
  return Float64Array.from(x, (value) => value * sigmoid(value - 1));
}

export function doubleSwishBackward({ dy, x }: Record<'dy' | 'x', Numbers>): Float64Array {
  return Float64Array.from(x, (value, k) => {
    const s = sigmoid(value - 1);
    return dy[k] * (value * s * (1 - s) + s);
  });
}
