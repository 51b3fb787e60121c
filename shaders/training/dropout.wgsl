// Dropout: y = D * x. So are the encoder's output before the head, and the gradient of a branch.

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] = dropped(place, x[place]);
}
