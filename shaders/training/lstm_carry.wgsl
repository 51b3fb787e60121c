// The LSTM's output without a projection, one frame of all utterances: h = m.
//
// A thread: four elements. Workgroups: threads over utterances * vec4s, folded into y beyond 65535.

override vec4s: u32; // of h and m

@group(0) @binding(1) var<storage, read> m: array<vec4f>; // (rows, vec4s)
@group(0) @binding(2) var<storage, read_write> h: array<Stored>; // (rows, vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let k = id.y * groups.x * 32u + id.x;
  if (k < step.lanes * vec4s) {
    let place = frame_row(0u) * vec4s + k;
    h[place] = stored(m[place]);
  }
}
