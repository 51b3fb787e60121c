// x = x - max(x) - ln(sum(exp(x - max(x)))), for each row, in place
//
//   x: f32 (rows, stride), of which `width` are logits; stride a multiple of 4; the rest of a row stays what it is of no use

import { logSumOfExponentials } from './softmax';

export function logSoftmax(x: usize, rows: i32, width: i32, stride: i32): void {
  const bytes = <usize>stride << 2;
  for (const end = x + <usize>rows * bytes; x < end; x += bytes) {
    const offset = f32x4.splat(logSumOfExponentials(x, width));
    for (let k: usize = 0; k < bytes; k += 16) {
      v128.store(x + k, f32x4.sub(v128.load(x + k), offset));
    }
  }
}
