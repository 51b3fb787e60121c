// Keeps the last 5 feature frames of each lane's window (its old context, then its 4n new frames) in its
// slot, as the left context of the next chunk.
//
// One thread: one mel bin of one lane, oldest frame first. A frame only ever moves towards the start, so
// with n = 1, where one old frame stays, working in place is safe.
// Workgroups: (ceil(num_features / 32), lanes, 1). Runs after conv_first, which reads the old context.

override num_features: u32;

@group(0) @binding(0) var<storage, read> features: array<f32>; // (lanes, 4 * frames, num_features)
@group(0) @binding(1) var<storage, read_write> context: array<f32>; // (slots, 5, num_features)

const context_frames = 5u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let f = id.x;
  let lane = id.y;
  if (f >= num_features || lane >= step.lanes) {
    return;
  }
  let kept = lanes[lane].slot * context_frames;
  for (var t = 0u; t < context_frames; t++) {
    let source = 4u * lanes[lane].frames + t;
    var value: f32;
    if (source < context_frames) {
      value = context[(kept + source) * num_features + f];
    } else {
      value = features[(lane * 4u * step.frames + source - context_frames) * num_features + f];
    }
    context[(kept + t) * num_features + f] = value;
  }
}
