// A tile of y = x W + b in registers: ROWS rows and OUTPUTS outputs of a product in whole numbers. Written out as tile.ts
// is.
//
//   weight: i8 (panels, pairs, 8, 2), an even number of pairs: two inputs of eight outputs lie together, as the dot
//     product reads them
//   scale, bias: f32 (OUTPUTS); a weight is scale * number
//   x: i16, rows of 2 * pairs numbers one after the other
//   xScale: f32 (ROWS)
//   y: f32, rows yRow bytes apart; ACCUMULATE adds to what is there
//
// Sums of up to 512 inputs are exact: 127 * 32767 * 512 is below 2^31. Block after block they are added as floats, then
// scaled: every tile in the same order.

const PAIRS = 256;

@inline
export function tileInt8_ROWSxOUTPUTS(
  weight: usize,
  panelBytes: usize,
  scale: usize,
  bias: usize,
  x: usize,
  xScale: usize,
  pairs: i32,
  y: usize,
  yRow: usize,
  accumulate: bool,
): void {
  let w_PANEL = weight + PANEL * panelBytes;
  let x_ROW = x + ROW * (<usize>pairs << 2);
  let total_ROW_QUAD = f32x4.splat(0);
  for (let left = pairs; left > 0; left -= PAIRS) {
    let sum_ROW_QUAD = i32x4.splat(0);
    for (let n = min(left, PAIRS); n > 0; n -= 2) {
      {
        const weight_QUAD = v128.load_ext<i8>(w_PANEL, 8 * (QUAD & 1));
        const input_ROW = v128.load32_splat(x_ROW);
        sum_ROW_QUAD = i32x4.add(sum_ROW_QUAD, i32x4.dot_i16x8_s(weight_QUAD, input_ROW));
      }
      {
        const weight_QUAD = v128.load_ext<i8>(w_PANEL, 8 * (QUAD & 1) + 16);
        const input_ROW = v128.load32_splat(x_ROW, 4);
        sum_ROW_QUAD = i32x4.add(sum_ROW_QUAD, i32x4.dot_i16x8_s(weight_QUAD, input_ROW));
      }
      w_PANEL += 32;
      x_ROW += 8;
    }
    total_ROW_QUAD = f32x4.add(total_ROW_QUAD, f32x4.convert_i32x4_s(sum_ROW_QUAD));
  }
  const scale_QUAD = v128.load(scale, 16 * QUAD);
  const xScale_ROW = v128.load32_splat(xScale, 4 * ROW);
  total_ROW_QUAD = f32x4.mul(total_ROW_QUAD, f32x4.mul(scale_QUAD, xScale_ROW));
  total_ROW_QUAD = f32x4.add(total_ROW_QUAD, v128.load(bias, 16 * QUAD));
  if (accumulate) {
    total_ROW_QUAD = f32x4.add(v128.load(y + ROW * yRow, 16 * QUAD), total_ROW_QUAD);
  }
  v128.store(y + ROW * yRow, total_ROW_QUAD, 16 * QUAD);
}
