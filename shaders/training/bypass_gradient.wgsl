// Gradient of a layer's norm and of the way around it (bypass.wgsl). With dy = alpha * dout, q = sum of dy * x2 in the row:
//
//   dx2 = r * dy - x2 * r^3 * q / width          dx = (1 - alpha) * dout          deps = -1/2 e^eps * sum of r^3 * q over rows
//
// A workgroup: a row. What each row adds to deps is summed by another dispatch.

override width: u32; // elements of a row

@group(0) @binding(0) var<storage, read> eps: array<f32>; // (1), a logarithm
@group(0) @binding(1) var<storage, read> alpha: array<f32>; // (layers)
@group(0) @binding(2) var<storage, read> x2: array<Stored>; // (rows, ceil(width / 4))
@group(0) @binding(3) var<storage, read_write> dout: array<vec4f>; // (rows, ceil(width / 4)): dx takes its place
@group(0) @binding(4) var<storage, read_write> dx2: array<vec4f>; // (rows, ceil(width / 4))
@group(0) @binding(5) var<storage, read_write> deps: array<vec4f>; // (rows): in x

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let row_vec4s = (width + 3u) / 4u;
  let count = select(0u, row_vec4s, is_inside(row));
  let start = row * row_vec4s;
  let a = alpha[at.layer];
  var squares = 0.0;
  var products = 0.0;
  for (var k = thread; k < count; k += threads) {
    let v = unstored(x2[start + k]);
    squares += dot(v, v);
    products += dot(a * dout[start + k], v);
  }
  let small = exp(eps[0]);
  let r = inverseSqrt(sum_of_threads(thread, squares) / f32(width) + small);
  workgroupBarrier();
  let q = sum_of_threads(thread, products);
  let cubed = r * r * r;
  for (var k = thread; k < count; k += threads) {
    let d = dout[start + k];
    dx2[start + k] = r * a * d - unstored(x2[start + k]) * (cubed * q / f32(width));
    dout[start + k] = (1.0 - a) * d;
  }
  if (thread == 0u && is_inside(row)) {
    deps[row] = vec4f(-0.5 * small * cubed * q, 0.0, 0.0, 0.0);
  }
}
