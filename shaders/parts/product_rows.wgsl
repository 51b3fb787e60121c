// The rows of a product in training, where it covers all rows of a batch.
//
// Needs in_vec4s.

fn row_start(row: u32) -> u32 {
  return row * in_vec4s;
}
