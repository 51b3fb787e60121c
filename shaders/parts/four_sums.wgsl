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
