/**
 * A linear layer.
 *
 *     y = x Wᵀ + b
 *     dx = dy W;  dW = Σ dyᵀ x;  db = Σ dy        sums over all rows
 *
 * x (rows, inputs), W (outputs, inputs), b (outputs), y (rows, outputs).
 */
import type { Numbers } from './numbers.ts';

export interface LinearSizes {
  rows: number;
  inputs: number;
  outputs: number;
}

/** Without a bias it is zero. */
export function linear(
  { x, weight, bias }: Record<'x' | 'weight', Numbers> & { bias?: Numbers },
  { rows, inputs, outputs }: LinearSizes,
): Float64Array {
  const y = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = bias ? bias[o] : 0;
      for (let k = 0; k < inputs; k++) {
        sum += weight[o * inputs + k] * x[row * inputs + k];
      }
      y[row * outputs + o] = sum;
    }
  }
  return y;
}

export function linearBackward(
  { dy, x, weight }: Record<'dy' | 'x' | 'weight', Numbers>,
  { rows, inputs, outputs }: LinearSizes,
): Record<'dx' | 'dWeight' | 'dBias', Float64Array> {
  const dx = new Float64Array(rows * inputs);
  const dWeight = new Float64Array(outputs * inputs);
  const dBias = new Float64Array(outputs);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      const d = dy[row * outputs + o];
      dBias[o] += d;
      for (let k = 0; k < inputs; k++) {
        dx[row * inputs + k] += d * weight[o * inputs + k];
        dWeight[o * inputs + k] += d * x[row * inputs + k];
      }
    }
  }
  return { dx, dWeight, dBias };
}
