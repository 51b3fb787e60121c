// A parameter's matrix, as it is trained: rows of vec4s.
//
// Needs matrix_columns.

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (matrix_rows, matrix_columns)

fn enter_matrix() {}

fn weight_vec4(row: u32, column: u32) -> vec4f {
  return weight[row * matrix_columns() + column];
}
