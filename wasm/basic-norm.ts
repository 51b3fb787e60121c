// x = x * (mean(x^2) + eps)^(-1/2), for each row, in place
//
//   x: f32 (rows, stride), zero from `width` on
//   width: what the mean is over; stride a multiple of 8
//   eps: the number itself, not its logarithm
//
// Order of a row's sum: eight partial sums, k modulo 8, then lanes 0 to 3 plus lanes 4 to 7.

import { multiplyAdd, sumOfLanes } from './arithmetic';

export function basicNorm(x: usize, rows: i32, width: i32, stride: i32, eps: f32): void {
  const bytes = <usize>stride << 2;
  for (const end = x + <usize>rows * bytes; x < end; x += bytes) {
    let even = f32x4.splat(0);
    let odd = f32x4.splat(0);
    for (let k: usize = 0; k < bytes; k += 32) {
      const low = v128.load(x + k);
      const high = v128.load(x + k, 16);
      even = multiplyAdd(low, low, even);
      odd = multiplyAdd(high, high, odd);
    }
    const sum = sumOfLanes(f32x4.add(even, odd));
    const factor = f32x4.splat(<f32>1 / sqrt<f32>(sum / <f32>width + eps));
    for (let k: usize = 0; k < bytes; k += 16) {
      v128.store(x + k, f32x4.mul(v128.load(x + k), factor));
    }
  }
}
