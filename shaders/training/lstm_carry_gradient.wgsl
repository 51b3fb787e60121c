// On the way back through the LSTM without a projection, one frame of all utterances: dm = dh, and through the cell
// (lstm_back.wgsl).
//
// A thread: four units of an utterance. Workgroups: threads over utterances * vec4s, folded into y beyond 65535.

override vec4s: u32; // units

@group(0) @binding(1) var<storage, read> dh: array<vec4f>; // (rows, vec4s)

fn unit_vec4s() -> u32 {
  return vec4s;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let k = id.y * groups.x * 32u + id.x;
  if (k < step.lanes * vec4s) {
    back(k / vec4s, k % vec4s, dh[frame_row(0u) * vec4s + k]);
  }
}
