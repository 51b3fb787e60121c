// The joiner's activation for one frame of every lane (icefall's joiner.py):
//
//   y = tanh(encoder_proj[t] + decoder_proj)
//
// One thread: four elements of one lane.
// Workgroups: (ceil(vec4s / 32), lanes, 1). Run once per frame, before joiner.output_linear.

override vec4s: u32; // ceil(joiner_dim / 4)

@group(0) @binding(0) var<storage, read> encoder_proj: array<vec4f>; // (lanes, frames, vec4s)
@group(0) @binding(1) var<storage, read> decoder_proj: array<vec4f>; // (lanes, vec4s)
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // (lanes, vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let lane = id.y;
  if (id.x >= vec4s || lane >= step.lanes) {
    return;
  }
  let sum = encoder_proj[(lane * step.frames + at.frame) * vec4s + id.x] + decoder_proj[lane * vec4s + id.x];
  y[lane * vec4s + id.x] = vec4f(tanh_exact(sum.x), tanh_exact(sum.y), tanh_exact(sum.z), tanh_exact(sum.w));
}
