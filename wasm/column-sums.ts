// sums[k] += sum over rows of x[row, k]: the gradient of a bias
//
//   x: f32 (rows, width), width a multiple of 4
//   sums: f32 (width)
//
// Order of each sum: blocks of 64 rows, one row after the other, then block after block, then what was there.

const BLOCK = 64;

export function columnSums(x: usize, sums: usize, rows: i32, width: i32): void {
  const row = <usize>width << 2;
  for (const end = x + row; x < end; x += 16, sums += 16) {
    let total = f32x4.splat(0);
    let from = x;
    for (let left = rows; left > 0; left -= BLOCK) {
      let sum = f32x4.splat(0);
      for (let n = min(left, BLOCK); n > 0; n--, from += row) {
        sum = f32x4.add(sum, v128.load(from));
      }
      total = f32x4.add(total, sum);
    }
    v128.store(sums, f32x4.add(v128.load(sums), total));
  }
}
