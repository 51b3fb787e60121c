/**
 * Log-softmax of each row.
 *
 *     y = x − log Σ_k e^x_k
 *     dx = dy − softmax(x) Σ_k dy_k
 *
 * x and y (rows, width).
 */
import { logSumExp, type Numbers } from './numbers.ts';

export function logSoftmax(x: Numbers, width: number): Float64Array {
  const y = Float64Array.from(x);
  for (let start = 0; start < y.length; start += width) {
    const row = y.subarray(start, start + width);
    const sum = logSumExp(row);
    row.forEach((value, k) => (row[k] = value - sum));
  }
  return y;
}

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
