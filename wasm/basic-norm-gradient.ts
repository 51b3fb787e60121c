// The gradient of basic-norm.ts, for each row, in place:
//
//   r = (mean(x^2) + eps)^(-1/2);  q = sum(dy x);  dy = r dy - x r^3 q / width
//
// Returns the gradient of the logarithm of eps: -eps / 2 * the sum over rows of r^3 q.
//
//   x, dy: f32 (rows, stride), zero from `width` on
//   width: what the mean is over; stride a multiple of 8
//
// Order of a row's sums: as in basic-norm.ts; of the sum over rows: one after the other, in f64.

import { multiplyAdd, sumOfLanes } from './arithmetic';

export function basicNormGradient(x: usize, dy: usize, rows: i32, width: i32, stride: i32, eps: f32): f64 {
  const bytes = <usize>stride << 2;
  let total: f64 = 0;
  for (const end = x + <usize>rows * bytes; x < end; x += bytes, dy += bytes) {
    let squares = f32x4.splat(0);
    let squaresOdd = f32x4.splat(0);
    let products = f32x4.splat(0);
    let productsOdd = f32x4.splat(0);
    for (let k: usize = 0; k < bytes; k += 32) {
      const low = v128.load(x + k);
      const high = v128.load(x + k, 16);
      squares = multiplyAdd(low, low, squares);
      squaresOdd = multiplyAdd(high, high, squaresOdd);
      products = multiplyAdd(low, v128.load(dy + k), products);
      productsOdd = multiplyAdd(high, v128.load(dy + k, 16), productsOdd);
    }
    const r = <f32>1 / sqrt<f32>(sumOfLanes(f32x4.add(squares, squaresOdd)) / <f32>width + eps);
    const cubed = r * r * r * sumOfLanes(f32x4.add(products, productsOdd));
    total += <f64>cubed;
    const factor = f32x4.splat(r);
    const share = f32x4.splat(cubed / <f32>width);
    for (let k: usize = 0; k < bytes; k += 16) {
      const scaled = f32x4.mul(v128.load(dy + k), factor);
      v128.store(dy + k, f32x4.sub(scaled, f32x4.mul(v128.load(x + k), share)));
    }
  }
  return <f64>-0.5 * <f64>eps * total;
}
