// x = x * sigmoid(x - 1), in place
//
//   x: f32 (count), count a multiple of 4

import { sigmoid } from './arithmetic';

export function doubleSwish(x: usize, count: i32): void {
  const one = f32x4.splat(1);
  for (const end = x + (<usize>count << 2); x < end; x += 16) {
    const value = v128.load(x);
    v128.store(x, f32x4.mul(value, sigmoid(f32x4.sub(value, one))));
  }
}
