// Rows times a matrix that lies output by output: x W^T.
//
// Needs in_vec4s, out_vec4s, weight_vec4.

fn matrix_rows() -> u32 {
  return 4u * out_vec4s;
}

fn matrix_columns() -> u32 {
  return in_vec4s;
}

// The weights of four inputs for four outputs, a column for each output.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  let row = 4u * o;
  return mat4x4f(weight_vec4(row, k), weight_vec4(row + 1u, k), weight_vec4(row + 2u, k), weight_vec4(row + 3u, k));
}
