// The LSTM's output, one frame of all utterances: h = W_hr m; without a projection h = m.
//
// A thread: four outputs of up to four utterances. Workgroups: (ceil(out_vec4s / 32), ceil(utterances / 4), 1).

override in_vec4s: u32; // of m
override out_vec4s: u32; // of h
override is_projected: bool;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> m: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> h: array<vec4f>; // (rows, out_vec4s)

const block_vec4s = 16u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let o = id.x;
  let top = 4u * id.y;
  if (o >= out_vec4s) {
    return;
  }
  let row = at.frame * step.lanes + top;
  let count = min(4u, step.lanes - top);
  if (!is_projected) {
    for (var r = 0u; r < count; r++) {
      h[(row + r) * out_vec4s + o] = m[(row + r) * in_vec4s + o];
    }
    return;
  }
  let last = (at.frame + 1u) * step.lanes - 1u;
  let starts = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(last)) * in_vec4s;
  let w = vec4u(4u * o, 4u * o + 1u, 4u * o + 2u, 4u * o + 3u) * in_vec4s;
  var total = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var sum = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let w4 = mat4x4f(weight[w.x + k], weight[w.y + k], weight[w.z + k], weight[w.w + k]);
      sum[0] += m[starts.x + k] * w4;
      sum[1] += m[starts.y + k] * w4;
      sum[2] += m[starts.z + k] * w4;
      sum[3] += m[starts.w + k] * w4;
    }
    total += sum;
  }
  for (var r = 0u; r < count; r++) {
    h[(row + r) * out_vec4s + o] = total[r];
  }
}
