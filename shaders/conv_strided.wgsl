// Second and third convolution of encoder_embed (conv.3, conv.6): 3x3, stride 2, then DoubleSwish.
//
//   y[t, f, o] = doubleswish(bias[o] + sum_{i,j,c} weight[i, j, c, o] * x[2t + i, 2f + j, c])
//
// Channels come last, padded to vec4 with zero weights, so a position is a short run of vec4s and the
// innermost loop is that of linear.wgsl. A lane of n encoder frames has n * times_per_frame + times_extra
// output times (conv.3: 2n + 1, conv.6: n) and twice that plus one input times.
//
// One thread: four output channels at four neighbouring positions, so that a weight is loaded once for four.
// Order of summation: i, j, c.
// Workgroups: (ceil(ceil(out_times * out_freqs / 4) * out_vec4s / 32), lanes, 1).

override in_freqs: u32;
override out_freqs: u32; // (in_freqs - 3) / 2 + 1
override in_vec4s: u32; // ceil(input channels / 4)
override out_vec4s: u32; // ceil(output channels / 4)
override times_per_frame: u32;
override times_extra: u32;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (3, 3, 4 * in_vec4s, out_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (lanes, 2 * out_times + 1, in_freqs, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (lanes, out_times, out_freqs, out_vec4s)
@group(0) @binding(4) var<uniform> step: Step;

fn double_swish(x: vec4f) -> vec4f {
  return x / (1.0 + exp(min(1.0 - x, vec4f(80.0))));
}

// Where the 3x3 window of an output position starts in x, in vec4s.
fn window_start(lane: u32, position: u32, out_times: u32) -> u32 {
  let t = position / out_freqs;
  let f = position % out_freqs;
  return ((lane * (2u * out_times + 1u) + 2u * t) * in_freqs + 2u * f) * in_vec4s;
}

@compute @workgroup_size(32)
fn conv_strided(@builtin(global_invocation_id) id: vec3u) {
  let out_times = step.frames * times_per_frame + times_extra;
  let positions = out_times * out_freqs;
  let lane = id.y;
  let o = id.x % out_vec4s;
  let first = id.x / out_vec4s * 4u;
  if (first >= positions || lane >= step.lanes) {
    return;
  }
  // Positions past the end repeat the last one and are not written.
  let last = positions - 1u;
  let x0 = window_start(lane, first, out_times);
  let x1 = window_start(lane, min(first + 1u, last), out_times);
  let x2 = window_start(lane, min(first + 2u, last), out_times);
  let x3 = window_start(lane, min(first + 3u, last), out_times);
  var y0 = bias[o];
  var y1 = y0;
  var y2 = y0;
  var y3 = y0;
  var w = o;
  for (var i = 0u; i < 3u; i++) {
    let row = i * in_freqs * in_vec4s;
    for (var k = row; k < row + 3u * in_vec4s; k++) {
      let w0 = weight[w];
      let w1 = weight[w + out_vec4s];
      let w2 = weight[w + 2u * out_vec4s];
      let w3 = weight[w + 3u * out_vec4s];
      w += 4u * out_vec4s;
      let v0 = x[x0 + k];
      y0 = fma(vec4f(v0.w), w3, fma(vec4f(v0.z), w2, fma(vec4f(v0.y), w1, fma(vec4f(v0.x), w0, y0))));
      let v1 = x[x1 + k];
      y1 = fma(vec4f(v1.w), w3, fma(vec4f(v1.z), w2, fma(vec4f(v1.y), w1, fma(vec4f(v1.x), w0, y1))));
      let v2 = x[x2 + k];
      y2 = fma(vec4f(v2.w), w3, fma(vec4f(v2.z), w2, fma(vec4f(v2.y), w1, fma(vec4f(v2.x), w0, y2))));
      let v3 = x[x3 + k];
      y3 = fma(vec4f(v3.w), w3, fma(vec4f(v3.z), w2, fma(vec4f(v3.y), w1, fma(vec4f(v3.x), w0, y3))));
    }
  }
  let out = (lane * positions + first) * out_vec4s + o;
  y[out] = double_swish(y0);
  if (first + 1u < positions) {
    y[out + out_vec4s] = double_swish(y1);
  }
  if (first + 2u < positions) {
    y[out + 2u * out_vec4s] = double_swish(y2);
  }
  if (first + 3u < positions) {
    y[out + 3u * out_vec4s] = double_swish(y3);
  }
}
