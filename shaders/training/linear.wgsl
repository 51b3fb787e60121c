// Linear layer, all rows of a batch: y = x W^T + b.
//
// A thread: four rows, four outputs. Workgroups: (ceil(out_vec4s / 32), ceil(rows / 4), 1). Sums in blocks of 64 inputs,
// block sums one after the other.

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (rows, out_vec4s)

const block_vec4s = 16u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let o = id.x;
  let top = 4u * id.y;
  if (o >= out_vec4s || top >= rows()) {
    return;
  }
  let starts = min(vec4u(top, top + 1u, top + 2u, top + 3u), vec4u(rows() - 1u)) * in_vec4s;
  let w = vec4u(4u * o, 4u * o + 1u, 4u * o + 2u, 4u * o + 3u) * in_vec4s;
  var total = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var sum = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let w4 = mat4x4f(weight[w.x + k], weight[w.y + k], weight[w.z + k], weight[w.w + k]);
      sum[0] += x[starts.x + k] * w4;
      sum[1] += x[starts.y + k] * w4;
      sum[2] += x[starts.z + k] * w4;
      sum[3] += x[starts.w + k] * w4;
    }
    total += sum;
  }
  for (var r = 0u; r < min(4u, rows() - top); r++) {
    y[(top + r) * out_vec4s + o] = bias[o] + total[r];
  }
}
