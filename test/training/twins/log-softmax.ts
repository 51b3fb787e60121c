/**
 * The gradient of log-softmax of each row.
 *
 *     y = x − log Σ_k e^x_k
 *     dx = dy − softmax(x) Σ_k dy_k
 *
 * x and y (rows, width).
 */
import type { Numbers } from './numbers.ts';

/** From y, which forward has made. */
export function logSoftmaxBackward({ dy, y }: Record<'dy' | 'y', Numbers>, width: number): Float64Array {
  const dx = Float64Array.from(dy);
  for (let start = 0; start < dx.length; start += width) {
    const row = dx.subarray(start, start + width);
    const sum = row.reduce((total, value) => total + value, 0);
    row.forEach((value, k) => (row[k] = value - Math.exp(y[start + k]) * sum));
  }
  return dx;
}
