// Gradient of swish.wgsl's input, in place of its output's: with s = sigmoid(a - 1) and y = a * s,
//
//   du *= D * (y * (1 - s) + s)

@group(0) @binding(0) var<storage, read> a: array<Stored>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> du: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  let v = unstored(a[place]);
  let s = 1.0 / (1.0 + exp(min(1.0 - v, vec4f(80.0))));
  du[place] = dropped(place, du[place] * (v * s * (1.0 - s) + s));
}
