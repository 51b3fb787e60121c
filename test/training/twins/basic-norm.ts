/**
 * BasicNorm of each row, its ε stored as a logarithm.
 *
 *     y = x r,  r = (mean x² + e^ε)^(−1/2)
 *     q = Σ_k dy_k x_k in the row;  dx = r dy − x r³ q / width;  dε = −½ e^ε Σ_rows r³ q
 *
 * x and y (rows, width).
 */
import type { Numbers } from './numbers.ts';

export interface NormSizes {
  rows: number;
  width: number;
}

/** r of one row. */
function factor(x: Numbers, eps: number, row: number, width: number): number {
  let squares = 0;
  for (let k = 0; k < width; k++) {
    squares += x[row * width + k] ** 2;
  }
  return (squares / width + Math.exp(eps)) ** -0.5;
}

export function basicNorm({ x, eps }: { x: Numbers; eps: number }, { rows, width }: NormSizes): Float64Array {
  const y = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const r = factor(x, eps, row, width);
    for (let k = 0; k < width; k++) {
      y[row * width + k] = x[row * width + k] * r;
    }
  }
  return y;
}

export function basicNormBackward(
  { dy, x, eps }: Record<'dy' | 'x', Numbers> & { eps: number },
  { rows, width }: NormSizes,
): { dx: Float64Array; dEps: number } {
  const dx = new Float64Array(rows * width);
  let dEps = 0;
  for (let row = 0; row < rows; row++) {
    const r = factor(x, eps, row, width);
    let q = 0;
    for (let k = 0; k < width; k++) {
      q += dy[row * width + k] * x[row * width + k];
    }
    for (let k = 0; k < width; k++) {
      const at = row * width + k;
      dx[at] = r * dy[at] - (x[at] * r ** 3 * q) / width;
    }
    dEps -= 0.5 * Math.exp(eps) * r ** 3 * q;
  }
  return { dx, dEps };
}
