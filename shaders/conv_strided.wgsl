// Second and third convolution of encoder_embed (conv.3, conv.6): 3x3, stride 2, then DoubleSwish.
//
//   y[t, f, o] = doubleswish(bias[o] + sum_{i,j,c} weight[i, j, c, o] * x[2t + i, 2f + j, c])
//
// Channels come last, padded to vec4 with zero weights, so a position is a short run of vec4s and the
// innermost loop is that of linear.wgsl. A lane of n encoder frames has n * times_per_frame + times_extra
// output times (conv.3: 2n + 1, conv.6: n) and twice that plus one input times.
//
// One thread: four output channels at `tile` neighbouring positions, four or sixteen, so that a weight is loaded once for
// them. Order of summation: i, j, c.
// Workgroups: (ceil(ceil(out_times * out_freqs / tile) * out_vec4s / 32), lanes, 1).

override tile: u32; // 4 or 16
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

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (ceil(out_vec4s / 8), 3, 3, 4 * in_vec4s, 8)
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

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

// Four positions, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// Where the windows of four positions start; positions past the end repeat the last one and are not written.
fn four_starts(lane: u32, position: u32, out_times: u32) -> vec4u {
  let last = out_times * out_freqs - 1u;
  return vec4u(
    window_start(lane, min(position, last), out_times),
    window_start(lane, min(position + 1u, last), out_times),
    window_start(lane, min(position + 2u, last), out_times),
    window_start(lane, min(position + 3u, last), out_times)
  );
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
}

fn weights_at(w: u32) -> mat4x4f {
  return mat4x4f(weight[w], weight[w + 8u], weight[w + 16u], weight[w + 24u]);
}

fn store(lane: u32, position: u32, positions: u32, o: u32, sum: vec4f) {
  if (position < positions) {
    y[(lane * positions + position) * out_vec4s + o] = double_swish(sum);
  }
}

fn store_four(lane: u32, position: u32, positions: u32, o: u32, sums: mat4x4f) {
  store(lane, position, positions, o, sums[0]);
  store(lane, position + 1u, positions, o, sums[1]);
  store(lane, position + 2u, positions, o, sums[2]);
  store(lane, position + 3u, positions, o, sums[3]);
}

fn four_positions(lane: u32, first: u32, out_times: u32, o: u32) {
  let starts = four_starts(lane, first, out_times);
  var sums = mat4x4f(bias[o], bias[o], bias[o], bias[o]);
  var w = (o >> 3u) * 36u * in_vec4s * 8u + (o & 7u);
  for (var i = 0u; i < 3u; i++) {
    let row = i * in_freqs * in_vec4s;
    for (var k = row; k < row + 3u * in_vec4s; k++) {
      sums = multiply_add_four(weights_at(w), four_at(starts, k), sums);
      w += 32u;
    }
  }
  store_four(lane, first, out_times * out_freqs, o, sums);
}

fn sixteen_positions(lane: u32, first: u32, out_times: u32, o: u32) {
  let starts_a = four_starts(lane, first, out_times);
  let starts_b = four_starts(lane, first + 4u, out_times);
  let starts_c = four_starts(lane, first + 8u, out_times);
  let starts_d = four_starts(lane, first + 12u, out_times);
  var a = mat4x4f(bias[o], bias[o], bias[o], bias[o]);
  var b = a;
  var c = a;
  var d = a;
  var w = (o >> 3u) * 36u * in_vec4s * 8u + (o & 7u);
  for (var i = 0u; i < 3u; i++) {
    let row = i * in_freqs * in_vec4s;
    for (var k = row; k < row + 3u * in_vec4s; k++) {
      let weights = weights_at(w);
      a = multiply_add_four(weights, four_at(starts_a, k), a);
      b = multiply_add_four(weights, four_at(starts_b, k), b);
      c = multiply_add_four(weights, four_at(starts_c, k), c);
      d = multiply_add_four(weights, four_at(starts_d, k), d);
      w += 32u;
    }
  }
  let positions = out_times * out_freqs;
  store_four(lane, first, positions, o, a);
  store_four(lane, first + 4u, positions, o, b);
  store_four(lane, first + 8u, positions, o, c);
  store_four(lane, first + 12u, positions, o, d);
}

@compute @workgroup_size(32)
fn conv_strided(@builtin(global_invocation_id) id: vec3u) {
  let out_times = step.frames * times_per_frame + times_extra;
  let lane = id.y;
  let o = id.x % out_vec4s;
  let first = id.x / out_vec4s * tile;
  if (first >= out_times * out_freqs || lane >= step.lanes) {
    return;
  }
  if (tile == 16u) {
    sixteen_positions(lane, first, out_times, o);
  } else {
    four_positions(lane, first, out_times, o);
  }
}
