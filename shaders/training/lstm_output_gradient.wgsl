// On the way back through the LSTM, one frame of all utterances: what the next frame's gates say of h.
//
//   dh(t) += W_hh^T dz(t + 1)
//
// A thread: four elements of h of up to four utterances. Workgroups: (ceil(in_vec4s / 32), ceil(utterances / 4), 1). Not
// dispatched for the last frame.

override in_vec4s: u32; // of h
override units: u32; // padded to whole vec4s

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * units, in_vec4s)
@group(0) @binding(1) var<storage, read> dz: array<vec4f>; // (rows, units)
@group(0) @binding(2) var<storage, read_write> dh: array<vec4f>; // (rows, in_vec4s)

const block_vec4s = 16u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  let top = 4u * id.y;
  if (k >= in_vec4s) {
    return;
  }
  let row = at.frame * step.lanes + top;
  let next = row + step.lanes;
  let last = (at.frame + 2u) * step.lanes - 1u;
  let starts = min(vec4u(next, next + 1u, next + 2u, next + 3u), vec4u(last)) * units;
  var total = mat4x4f();
  for (var first = 0u; first < units; first += block_vec4s) {
    var sum = mat4x4f();
    for (var unit = first; unit < min(first + block_vec4s, units); unit++) {
      let w = 4u * unit * in_vec4s + k;
      let w4 = mat4x4f(weight[w], weight[w + in_vec4s], weight[w + 2u * in_vec4s], weight[w + 3u * in_vec4s]);
      sum[0] += w4 * dz[starts.x + unit];
      sum[1] += w4 * dz[starts.y + unit];
      sum[2] += w4 * dz[starts.z + unit];
      sum[3] += w4 * dz[starts.w + unit];
    }
    total += sum;
  }
  for (var r = 0u; r < min(4u, step.lanes - top); r++) {
    dh[(row + r) * in_vec4s + k] += total[r];
  }
}
