// First convolution of encoder_embed (conv.0): 3x3, stride 1, one input channel, then DoubleSwish.
//
//   y[t, f, o] = doubleswish(bias[o] + sum_{i,j} weight[i, j, o] * x[t + i, f + j])
//
// x is the lane's window of 4n + 5 feature frames: the 5 frames its slot kept from the chunk before
// (`context`), then the 4n new ones (`features`). Channels come last, padded to vec4 with zero weights.
//
// One thread: four output channels at four neighbouring frequencies, so that a weight is loaded once for them. Order of
// summation: i, then j.
// Workgroups: (ceil(ceil(out_freqs / 4) * out_vec4s / 8), 4 * frames + 3, lanes).

override num_features: u32;
override out_vec4s: u32; // ceil(output channels / 4)

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (ceil(out_vec4s / 8), 3, 3, 8)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> context: array<f32>; // (slots, 5, num_features)
@group(0) @binding(3) var<storage, read> features: array<f32>; // (lanes, 4 * frames, num_features)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes, 4 * frames + 3, num_features - 2, out_vec4s)

const context_frames = 5u;

// Of four neighbouring frequencies, those past the end for what is not written.
fn features_at(lane: u32, t: u32, f: u32) -> vec4f {
  let at = min(vec4u(f, f + 1u, f + 2u, f + 3u), vec4u(num_features - 1u));
  if (t < context_frames) {
    let start = (lanes[lane].slot * context_frames + t) * num_features;
    return vec4f(context[start + at.x], context[start + at.y], context[start + at.z], context[start + at.w]);
  }
  let start = (lane * 4u * step.frames + t - context_frames) * num_features;
  return vec4f(features[start + at.x], features[start + at.y], features[start + at.z], features[start + at.w]);
}

// A weight times the features of four frequencies, a column for each.
fn add_products(w: vec4f, x: vec4f, sums: mat4x4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(x.x), w, sums[0]),
    fma(vec4f(x.y), w, sums[1]),
    fma(vec4f(x.z), w, sums[2]),
    fma(vec4f(x.w), w, sums[3])
  );
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let out_freqs = num_features - 2u;
  let times = 4u * step.frames + 3u;
  let lane = id.z;
  let t = id.y;
  let o = id.x % out_vec4s;
  let f = 4u * (id.x / out_vec4s);
  if (f >= out_freqs || t >= times || lane >= step.lanes) {
    return;
  }
  let b = bias[o];
  var sums = mat4x4f(b, b, b, b);
  for (var i = 0u; i < 3u; i++) {
    let w = ((o >> 3u) * 9u + 3u * i) * 8u + (o & 7u);
    let near = features_at(lane, t + i, f);
    let far = features_at(lane, t + i, f + 4u);
    sums = add_products(weight[w], near, sums);
    sums = add_products(weight[w + 8u], vec4f(near.yzw, far.x), sums);
    sums = add_products(weight[w + 16u], vec4f(near.zw, far.xy), sums);
  }
  let start = (lane * times + t) * out_freqs + f;
  for (var k = 0u; k < min(4u, out_freqs - f); k++) {
    y[(start + k) * out_vec4s + o] = double_swish(sums[k]);
  }
}
