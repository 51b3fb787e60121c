// A layer's norm, and the way around the layer:
//
//   out = alpha * x2 * r + (1 - alpha) * x          r = (mean(x2^2) + e^eps) ^ (-1/2)
//
// A workgroup: a row. The embedding's norm is the same with alpha 1.

override width: u32; // elements of a row

@group(0) @binding(0) var<storage, read> eps: array<f32>; // (1), a logarithm
@group(0) @binding(1) var<storage, read> alpha: array<f32>; // (layers)
@group(0) @binding(2) var<storage, read> x2: array<Stored>; // (rows, ceil(width / 4))
@group(0) @binding(3) var<storage, read> x: array<Stored>; // (rows, ceil(width / 4))
@group(0) @binding(4) var<storage, read_write> y: array<Stored>; // (rows, ceil(width / 4))

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let row_vec4s = (width + 3u) / 4u;
  let count = select(0u, row_vec4s, is_inside(row));
  let start = row * row_vec4s;
  var squares = 0.0;
  for (var k = thread; k < count; k += threads) {
    let v = unstored(x2[start + k]);
    squares += dot(v, v);
  }
  let a = alpha[at.layer];
  let r = inverseSqrt(sum_of_threads(thread, squares) / f32(width) + exp(eps[0]));
  for (var k = thread; k < count; k += threads) {
    y[start + k] = stored(a * r * unstored(x2[start + k]) + (1.0 - a) * unstored(x[start + k]));
  }
}
