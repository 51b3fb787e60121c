// y = x W + b, or y += x W + b, for each row
//
//   weight: f32 (outputs / 8, inputs, 8): panels of eight outputs
//   bias: f32 (outputs)
//   x: f32 (rows, inputs)
//   y: f32 (rows, outputs)
//   outputs a multiple of 8
//
// Two panels at a time, which are a line of y: each is read once, for all rows, 4 rows at a time, then 2, then 1.
// far: the matrix lies in memory, not in a cache; see touch.ts. It may read 255 bytes beyond a panel.

import { tile_1x16, tile_1x8, tile_2x16, tile_2x8, tile_4x8 } from './tile';
import { touch } from './touch';

export function linear(
  weight: usize,
  bias: usize,
  x: usize,
  y: usize,
  rows: i32,
  inputs: i32,
  outputs: i32,
  accumulate: bool,
  far: bool,
): void {
  const panel = <usize>inputs << 5;
  const xRow = <usize>inputs << 2;
  const yRow = <usize>outputs << 2;
  let panels = outputs >> 3;
  for (; panels > 1; panels -= 2, weight += 2 * panel, bias += 64, y += 64) {
    if (far) touch(weight, 2 * panel);
    let from = x;
    let to = y;
    let left = rows;
    for (; left >= 4; left -= 4, from += 4 * xRow, to += 4 * yRow) {
      tile_4x8(weight, panel, bias, from, xRow, 1, inputs, 0, to, yRow, accumulate);
      tile_4x8(weight + panel, panel, bias + 32, from, xRow, 1, inputs, 0, to + 32, yRow, accumulate);
    }
    if (left & 2) {
      tile_2x16(weight, panel, bias, from, xRow, 1, inputs, 0, to, yRow, accumulate);
      from += 2 * xRow;
      to += 2 * yRow;
    }
    if (left & 1) {
      tile_1x16(weight, panel, bias, from, xRow, 1, inputs, 0, to, yRow, accumulate);
    }
  }
  if (panels == 1) {
    // The last of an odd number.
    for (; rows > 1; rows -= 2, x += 2 * xRow, y += 2 * yRow) {
      tile_2x8(weight, panel, bias, x, xRow, 1, inputs, 0, y, yRow, accumulate);
    }
    if (rows == 1) {
      tile_1x8(weight, panel, bias, x, xRow, 1, inputs, 0, y, yRow, accumulate);
    }
  }
}
