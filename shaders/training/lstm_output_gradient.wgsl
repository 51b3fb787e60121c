// On the way back through the LSTM, one frame of all utterances: what the next frame's gates say of h.
//
//   dh(t) += W_hh^T dz(t + 1)
//
// A thread: four elements of h of up to four utterances. Workgroups: (ceil(in_vec4s / 32), ceil(utterances / 4), 1). Not
// dispatched for the last frame.

override in_vec4s: u32; // of h
override out_vec4s: u32; // units: four gates each

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> dz: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(2) var<storage, read_write> dh: array<vec4f>; // (rows, in_vec4s)

fn gradient_at(place: u32) -> vec4f {
  return dz[place];
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  let top = 4u * id.y;
  if (k >= in_vec4s) {
    return;
  }
  let row = at.frame * step.lanes + top;
  let total = by_transpose(row + step.lanes, (at.frame + 2u) * step.lanes - 1u, k);
  for (var r = 0u; r < min(4u, step.lanes - top); r++) {
    dh[(row + r) * in_vec4s + k] += total[r];
  }
}
