// Rows of an output's gradient times the matrix that lies output by output: dy W. What is summed over (`in_vec4s` of the
// product) are the matrix's rows, and what comes out (`out_vec4s`) its columns.
//
// Needs in_vec4s, out_vec4s, weight_vec4.

fn matrix_rows() -> u32 {
  return 4u * in_vec4s;
}

fn matrix_columns() -> u32 {
  return out_vec4s;
}

// A column for each of four elements of what comes out.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  let row = 4u * k;
  return transpose(
    mat4x4f(weight_vec4(row, o), weight_vec4(row + 1u, o), weight_vec4(row + 2u, o), weight_vec4(row + 3u, o))
  );
}
