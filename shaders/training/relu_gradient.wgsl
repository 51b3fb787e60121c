// Gradient of what a ReLU was given, in place of its output's: dy *= [y > 0].

@group(0) @binding(0) var<storage, read> y: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  dy[place] = select(vec4f(0.0), dy[place], y[place] > vec4f(0.0));
}
