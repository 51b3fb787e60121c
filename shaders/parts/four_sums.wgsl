// The sums of four rows, a column for each.
//
// Needs rows, block_start, store, out_vec4s.

fn four_block_starts(o: u32) -> mat4x4f {
  let start = block_start(o);
  return mat4x4f(start, start, start, start);
}

fn store_inside(row: u32, o: u32, sum: vec4f) {
  if (row < rows() && o < out_vec4s) {
    store(row, o, sum);
  }
}

fn store_four(row: u32, o: u32, sums: mat4x4f) {
  store_inside(row, o, sums[0]);
  store_inside(row + 1u, o, sums[1]);
  store_inside(row + 2u, o, sums[2]);
  store_inside(row + 3u, o, sums[3]);
}
