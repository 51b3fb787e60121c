/**
 * RandomCombine: outputs of several layers, with weights for each frame.
 *
 *     y[row] = Σ_k w[row, k] x_k[row]
 *     dx_k[row] = w[row, k] dy[row]
 *
 * x_k and y (rows, width), w (rows, inputs).
 */
import type { Numbers } from './numbers.ts';

export function randomCombine(inputs: readonly Numbers[], weights: Numbers, width: number): Float64Array {
  const y = new Float64Array(inputs[0].length);
  inputs.forEach((x, k) => {
    for (let at = 0; at < y.length; at++) {
      y[at] += weights[Math.floor(at / width) * inputs.length + k] * x[at];
    }
  });
  return y;
}

/** Of each input. */
export function randomCombineBackward(dy: Numbers, weights: Numbers, inputs: number, width: number): Float64Array[] {
  return Array.from({ length: inputs }, (_, k) =>
    Float64Array.from(dy, (value, at) => weights[Math.floor(at / width) * inputs + k] * value),
  );
}
