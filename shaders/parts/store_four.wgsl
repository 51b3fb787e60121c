// Stores the sums of four rows, a column for each.
//
// Needs store_inside.

fn store_four(row: u32, o: u32, sums: mat4x4f) {
  store_inside(row, o, sums[0]);
  store_inside(row + 1u, o, sums[1]);
  store_inside(row + 2u, o, sums[2]);
  store_inside(row + 3u, o, sums[3]);
}
