// y = x W + b, or y += x W + b, for each row, in whole numbers
//
//   weight: i8 (outputs / 8, inputs / 2, 8, 2): panels of eight outputs, inputs in pairs
//   scale, bias: f32 (outputs); a weight is scale * number
//   x: i16 (rows, inputs) and xScale: f32 (rows), as quantize-rows.ts leaves them
//   y: f32 (rows, outputs)
//   inputs a multiple of 4, outputs of 8
//
// Panels, rows and `far` as in linear.ts.

import { tileInt8_1x16, tileInt8_1x8, tileInt8_2x16, tileInt8_2x8, tileInt8_4x8 } from './tile-int8';
import { touch } from './touch';

export function linearInt8(
  weight: usize,
  scale: usize,
  bias: usize,
  x: usize,
  xScale: usize,
  y: usize,
  rows: i32,
  inputs: i32,
  outputs: i32,
  accumulate: bool,
  far: bool,
): void {
  const pairs = inputs >> 1;
  const panel = <usize>inputs << 3;
  const xRow = <usize>inputs << 1;
  const yRow = <usize>outputs << 2;
  let panels = outputs >> 3;
  for (; panels > 1; panels -= 2, weight += 2 * panel, scale += 64, bias += 64, y += 64) {
    if (far) touch(weight, 2 * panel);
    let from = x;
    let fromScale = xScale;
    let to = y;
    let left = rows;
    for (; left >= 4; left -= 4, from += 4 * xRow, fromScale += 16, to += 4 * yRow) {
      tileInt8_4x8(weight, panel, scale, bias, from, fromScale, pairs, to, yRow, accumulate);
      tileInt8_4x8(weight + panel, panel, scale + 32, bias + 32, from, fromScale, pairs, to + 32, yRow, accumulate);
    }
    if (left & 2) {
      tileInt8_2x16(weight, panel, scale, bias, from, fromScale, pairs, to, yRow, accumulate);
      from += 2 * xRow;
      fromScale += 8;
      to += 2 * yRow;
    }
    if (left & 1) {
      tileInt8_1x16(weight, panel, scale, bias, from, fromScale, pairs, to, yRow, accumulate);
    }
  }
  if (panels == 1) {
    // The last of an odd number.
    for (; rows > 1; rows -= 2, x += 2 * xRow, xScale += 8, y += 2 * yRow) {
      tileInt8_2x8(weight, panel, scale, bias, x, xScale, pairs, y, yRow, accumulate);
    }
    if (rows == 1) {
      tileInt8_1x8(weight, panel, scale, bias, x, xScale, pairs, y, yRow, accumulate);
    }
  }
}
