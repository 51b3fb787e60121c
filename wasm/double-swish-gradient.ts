// dy = dy * (y (1 - s) + s), s = sigmoid(x - 1), y = x s, in place: the gradient of double-swish.ts
//
//   x, dy: f32 (count), count a multiple of 4

import { multiplyAdd, sigmoid } from './arithmetic';

export function doubleSwishGradient(x: usize, dy: usize, count: i32): void {
  const one = f32x4.splat(1);
  for (const end = x + (<usize>count << 2); x < end; x += 16, dy += 16) {
    const value = v128.load(x);
    const s = sigmoid(f32x4.sub(value, one));
    const slope = multiplyAdd(f32x4.mul(value, s), f32x4.sub(one, s), s);
    v128.store(dy, f32x4.mul(v128.load(dy), slope));
  }
}
