// Matrices laid out anew, for products in training, whose operands change from step to step.
//
//   panels: y (width / 8, rows, 8) from x (rows, width): x as linear.ts reads its weight, rows being inputs
//   transpose: y (width, rows) from x (rows, width)
//
//   x, y: f32, width a multiple of 8
//
// Eight columns at a time, over all rows: what is written lies in eight lines, or in one.

export function panels(x: usize, y: usize, rows: i32, width: i32): void {
  const row = <usize>width << 2;
  for (const end = x + row; x < end; x += 32) {
    let from = x;
    for (let left = rows; left > 0; left--, from += row, y += 32) {
      v128.store(y, v128.load(from));
      v128.store(y, v128.load(from, 16), 16);
    }
  }
}

export function transpose(x: usize, y: usize, rows: i32, width: i32): void {
  const row = <usize>width << 2;
  const column = <usize>rows << 2;
  for (const end = x + row; x < end; x += 32, y += 8 * column) {
    let from = x;
    for (let to = y; to < y + column; to += 4, from += row) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      v128.store_lane<f32>(to, low, 0);
      v128.store_lane<f32>(to + column, low, 1);
      v128.store_lane<f32>(to + 2 * column, low, 2);
      v128.store_lane<f32>(to + 3 * column, low, 3);
      v128.store_lane<f32>(to + 4 * column, high, 0);
      v128.store_lane<f32>(to + 5 * column, high, 1);
      v128.store_lane<f32>(to + 6 * column, high, 2);
      v128.store_lane<f32>(to + 7 * column, high, 3);
    }
  }
}
