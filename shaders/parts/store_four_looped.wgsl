// Stores the sums of four rows, a column for each, in a loop: what is done with a sum may be much code, which takes its time
// to compile.
//
// Needs store_inside.

fn store_four(row: u32, o: u32, sums: mat4x4f) {
  for (var r = 0u; r < 4u; r++) {
    store_inside(row + r, o, sums[r]);
  }
}
