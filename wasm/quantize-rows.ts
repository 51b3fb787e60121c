// Each row in whole numbers of 16 bits, with a scale of its own: x = scale * quantized, the largest magnitude 32767
//
//   x: f32 (rows, width), width a multiple of 8
//   quantized: i16 (rows, width)
//   scale: f32 (rows)

import { ROUNDING, largestLane } from './arithmetic';

const LARGEST: f32 = 32767;
/** What a row counts as zero below: its inverse would be no number. */
const SMALLEST: f32 = 1e-30;

/** The nearest whole numbers. */
@inline
function round(x: v128, by: v128): v128 {
  const moved = f32x4.add(f32x4.mul(x, by), f32x4.splat(ROUNDING));
  return i32x4.sub(moved, i32x4.splat(0x4b400000)); // the bits of ROUNDING
}

export function quantizeRows(x: usize, quantized: usize, scale: usize, rows: i32, width: i32): void {
  const bytes = <usize>width << 2;
  for (let row = 0; row < rows; row++) {
    let magnitude = f32x4.splat(0);
    for (let k: usize = 0; k < bytes; k += 16) {
      magnitude = f32x4.pmax(magnitude, f32x4.abs(v128.load(x + k)));
    }
    const largest = largestLane(magnitude);
    const isZero = largest < SMALLEST;
    store<f32>(scale, isZero ? 0 : largest / LARGEST);
    const by = f32x4.splat(isZero ? 0 : LARGEST / largest);
    for (let k: usize = 0; k < bytes; k += 32) {
      const low = round(v128.load(x + k), by);
      const high = round(v128.load(x + k, 16), by);
      v128.store(quantized + (k >> 1), i16x8.narrow_i32x4_s(low, high));
    }
    x += bytes;
    quantized += bytes >> 1;
    scale += 4;
  }
}
