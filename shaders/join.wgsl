// The joiner's activation for one frame of every lane (icefall's joiner.py):
//
//   y = tanh(encoder_proj[t] + decoder_proj)
//
// One thread: four elements of one lane.
// Workgroups: (ceil(vec4s / 32), lanes, 1). Run once per frame, before joiner.output_linear.

override vec4s: u32; // ceil(joiner_dim / 4)

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

struct At {
  layer: u32,
  frame: u32,
}

@group(0) @binding(0) var<storage, read> encoder_proj: array<vec4f>; // (lanes, frames, vec4s)
@group(0) @binding(1) var<storage, read> decoder_proj: array<vec4f>; // (lanes, vec4s)
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // (lanes, vec4s)
@group(0) @binding(3) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// WGSL allows its own tanh an error of 1e-5; this form is good to 2e-7 and cannot overflow.
fn tanh_exact(x: vec4f) -> vec4f {
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}

@compute @workgroup_size(32)
fn join(@builtin(global_invocation_id) id: vec3u) {
  let lane = id.y;
  if (id.x >= vec4s || lane >= step.lanes) {
    return;
  }
  let proj = encoder_proj[(lane * step.frames + at.frame) * vec4s + id.x];
  y[lane * vec4s + id.x] = tanh_exact(proj + decoder_proj[lane * vec4s + id.x]);
}
