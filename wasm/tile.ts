// A tile of y = x W + b in registers: ROWS rows and OUTPUTS outputs of a product with a matrix of floats.
//
// tools/generate-wasm.ts writes this file out for each tile of its table, since AssemblyScript has no arrays of vectors:
// a line with ROW stands once for each row, one with QUAD once for each four outputs, one with PANEL once for each panel
// of eight.
//
//   weight: f32 (panels, segments * length, 8)
//   bias: f32 (OUTPUTS)
//   x: of each row, segments of `length` floats, xSegment bytes apart; rows xRow bytes apart
//   y: f32, rows yRow bytes apart; ACCUMULATE adds to what is there
//
// Order of each sum, in every tile: blocks of 64 inputs of a segment, one input after the other, then block after block,
// then the bias.

import { multiplyAdd } from './arithmetic';

const BLOCK = 64;

@inline
export function tile_ROWSxOUTPUTS(
  weight: usize,
  panelBytes: usize,
  bias: usize,
  x: usize,
  xRow: usize,
  segments: i32,
  length: i32,
  xSegment: usize,
  y: usize,
  yRow: usize,
  accumulate: bool,
): void {
  let w_PANEL = weight + PANEL * panelBytes;
  let total_ROW_QUAD = f32x4.splat(0);
  for (let segment = 0; segment < segments; segment++) {
    let x_ROW = x + ROW * xRow;
    for (let left = length; left > 0; left -= BLOCK) {
      let sum_ROW_QUAD = f32x4.splat(0);
      for (let n = min(left, BLOCK); n > 0; n--) {
        const weight_QUAD = v128.load(w_PANEL, 16 * (QUAD & 1));
        const input_ROW = v128.load32_splat(x_ROW);
        sum_ROW_QUAD = multiplyAdd(weight_QUAD, input_ROW, sum_ROW_QUAD);
        w_PANEL += 32;
        x_ROW += 4;
      }
      total_ROW_QUAD = f32x4.add(total_ROW_QUAD, sum_ROW_QUAD);
    }
    x += xSegment;
  }
  total_ROW_QUAD = f32x4.add(total_ROW_QUAD, v128.load(bias, 16 * QUAD));
  if (accumulate) {
    total_ROW_QUAD = f32x4.add(v128.load(y + ROW * yRow, 16 * QUAD), total_ROW_QUAD);
  }
  v128.store(y + ROW * yRow, total_ROW_QUAD, 16 * QUAD);
}
