// A layer's input as it is kept: y = x.

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> y: array<Stored>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] = stored(x[place]);
}
