// First convolution of encoder_embed (conv.0): 3x3, stride 1, one input channel, then DoubleSwish.
//
//   y[t, f, o] = doubleswish(bias[o] + sum_{i,j} weight[i, j, o] * x[t + i, f + j])
//
// x is the lane's window of 4n + 5 feature frames: the 5 frames its slot kept from the chunk before
// (`context`), then the 4n new ones (`features`). Channels come last, padded to vec4 with zero weights.
//
// One thread: four output channels at one position. Order of summation: i, then j.
// Workgroups: (ceil((4 * frames + 3) * out_freqs * out_vec4s / 32), lanes, 1).

override num_features: u32;
override out_vec4s: u32; // ceil(output channels / 4)

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

struct Lane {
  slot: u32,
  frames: u32, // encoder frames of this lane, 1 ..= step.frames
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (3, 3, out_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> context: array<f32>; // (slots, 5, num_features)
@group(0) @binding(3) var<storage, read> features: array<f32>; // (lanes, 4 * frames, num_features)
@group(0) @binding(4) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // (lanes, 4 * frames + 3, num_features - 2, out_vec4s)
@group(0) @binding(6) var<uniform> step: Step;

const context_frames = 5u;

fn feature(lane: u32, t: u32, f: u32) -> f32 {
  if (t < context_frames) {
    return context[(lanes[lane].slot * context_frames + t) * num_features + f];
  }
  return features[(lane * 4u * step.frames + t - context_frames) * num_features + f];
}

fn double_swish(x: vec4f) -> vec4f {
  return x / (1.0 + exp(min(1.0 - x, vec4f(80.0))));
}

@compute @workgroup_size(32)
fn conv_first(@builtin(global_invocation_id) id: vec3u) {
  let out_freqs = num_features - 2u;
  let times = 4u * step.frames + 3u;
  let lane = id.y;
  let o = id.x % out_vec4s;
  let f = (id.x / out_vec4s) % out_freqs;
  let t = id.x / (out_vec4s * out_freqs);
  if (t >= times || lane >= step.lanes) {
    return;
  }
  var sum = bias[o];
  for (var i = 0u; i < 3u; i++) {
    for (var j = 0u; j < 3u; j++) {
      sum = fma(vec4f(feature(lane, t + i, f + j)), weight[(i * 3u + j) * out_vec4s + o], sum);
    }
  }
  y[((lane * times + t) * out_freqs + f) * out_vec4s + o] = double_swish(sum);
}
