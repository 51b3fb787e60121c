// conv_strided.wgsl with the weights in a texture, four output channels to a texel, and the inputs shared among the four
// invocations of a quad: the same operations in the same order, and so the same bytes. See linear_texels.wgsl.
//
// One thread: four output channels at `tile` positions, four or sixteen, of which all threads of a workgroup have the
// same. The inputs of a row of the window, 3 * 4 * in_vec4s, are padded to sixteen with zero weights.
// Workgroups: (ceil(out_vec4s / 8), ceil(out_times * out_freqs / tile), lanes). Needs the feature `subgroups`.
enable subgroups;

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

@group(0) @binding(0) var weight: texture_2d<f32>; // (3, 3 * 4 * in_vec4s rounded up to 16, out_vec4s)
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

// Of four positions; those past the end repeat the last one and are not written.
fn window_starts(lane: u32, position: u32, out_times: u32) -> vec4u {
  let last = out_times * out_freqs - 1u;
  return vec4u(
    window_start(lane, min(position, last), out_times),
    window_start(lane, min(position + 1u, last), out_times),
    window_start(lane, min(position + 2u, last), out_times),
    window_start(lane, min(position + 3u, last), out_times)
  );
}

// Four inputs' weights for four output channels, a column for each input.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  return mat4x4f(
    textureLoad(weight, vec2u(o, 4u * k), 0),
    textureLoad(weight, vec2u(o, 4u * k + 1u), 0),
    textureLoad(weight, vec2u(o, 4u * k + 2u), 0),
    textureLoad(weight, vec2u(o, 4u * k + 3u), 0)
  );
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

// The same for four positions, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// What one invocation of the quad has loaded of four positions.
fn from_first(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 0u), quadBroadcast(x[1], 0u), quadBroadcast(x[2], 0u), quadBroadcast(x[3], 0u));
}

fn from_second(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 1u), quadBroadcast(x[1], 1u), quadBroadcast(x[2], 1u), quadBroadcast(x[3], 1u));
}

fn from_third(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 2u), quadBroadcast(x[1], 2u), quadBroadcast(x[2], 2u), quadBroadcast(x[3], 2u));
}

fn from_fourth(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 3u), quadBroadcast(x[1], 3u), quadBroadcast(x[2], 3u), quadBroadcast(x[3], 3u));
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
}

fn four_times_bias(o: u32) -> mat4x4f {
  let b = bias[min(o, out_vec4s - 1u)];
  return mat4x4f(b, b, b, b);
}

fn store_four(lane: u32, first: u32, positions: u32, o: u32, sums: mat4x4f) {
  for (var p = 0u; p < 4u; p++) {
    if (first + p < positions && o < out_vec4s) {
      y[(lane * positions + first + p) * out_vec4s + o] = double_swish(sums[p]);
    }
  }
}

fn four_positions(lane: u32, first: u32, out_times: u32, o: u32, quad_lane: u32) {
  let run = 3u * in_vec4s;
  let padded_run = (run + 3u) / 4u * 4u;
  let starts = window_starts(lane, first, out_times);
  var s = four_times_bias(o);
  for (var i = 0u; i < 3u; i++) {
    let row = i * in_freqs * in_vec4s;
    for (var k = 0u; k < run; k += 4u) {
      let w = i * padded_run + k;
      let own = four_at(starts, row + min(k + quad_lane, run - 1u));
      s = multiply_add_four(weights_at(w, o), from_first(own), s);
      s = multiply_add_four(weights_at(w + 1u, o), from_second(own), s);
      s = multiply_add_four(weights_at(w + 2u, o), from_third(own), s);
      s = multiply_add_four(weights_at(w + 3u, o), from_fourth(own), s);
    }
  }
  store_four(lane, first, out_times * out_freqs, o, s);
}

fn sixteen_positions(lane: u32, first: u32, out_times: u32, o: u32, quad_lane: u32) {
  let run = 3u * in_vec4s;
  let padded_run = (run + 3u) / 4u * 4u;
  let starts_a = window_starts(lane, first, out_times);
  let starts_b = window_starts(lane, first + 4u, out_times);
  let starts_c = window_starts(lane, first + 8u, out_times);
  let starts_d = window_starts(lane, first + 12u, out_times);
  var a = four_times_bias(o);
  var b = a;
  var c = a;
  var d = a;
  for (var i = 0u; i < 3u; i++) {
    let row = i * in_freqs * in_vec4s;
    for (var k = 0u; k < run; k += 4u) {
      let w = i * padded_run + k;
      let own = row + min(k + quad_lane, run - 1u);
      let own_a = four_at(starts_a, own);
      let own_b = four_at(starts_b, own);
      let own_c = four_at(starts_c, own);
      let own_d = four_at(starts_d, own);
      let w0 = weights_at(w, o);
      a = multiply_add_four(w0, from_first(own_a), a);
      b = multiply_add_four(w0, from_first(own_b), b);
      c = multiply_add_four(w0, from_first(own_c), c);
      d = multiply_add_four(w0, from_first(own_d), d);
      let w1 = weights_at(w + 1u, o);
      a = multiply_add_four(w1, from_second(own_a), a);
      b = multiply_add_four(w1, from_second(own_b), b);
      c = multiply_add_four(w1, from_second(own_c), c);
      d = multiply_add_four(w1, from_second(own_d), d);
      let w2 = weights_at(w + 2u, o);
      a = multiply_add_four(w2, from_third(own_a), a);
      b = multiply_add_four(w2, from_third(own_b), b);
      c = multiply_add_four(w2, from_third(own_c), c);
      d = multiply_add_four(w2, from_third(own_d), d);
      let w3 = weights_at(w + 3u, o);
      a = multiply_add_four(w3, from_fourth(own_a), a);
      b = multiply_add_four(w3, from_fourth(own_b), b);
      c = multiply_add_four(w3, from_fourth(own_c), c);
      d = multiply_add_four(w3, from_fourth(own_d), d);
    }
  }
  let positions = out_times * out_freqs;
  store_four(lane, first, positions, o, a);
  store_four(lane, first + 4u, positions, o, b);
  store_four(lane, first + 8u, positions, o, c);
  store_four(lane, first + 12u, positions, o, d);
}

@compute @workgroup_size(8)
fn conv_strided_texels(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  // No thread leaves early: the quads load together.
  let out_times = step.frames * times_per_frame + times_extra;
  let o = group.x * 8u + thread.x;
  let quad_lane = subgroup_lane % 4u;
  if (tile == 16u) {
    sixteen_positions(group.z, group.y * tile, out_times, o, quad_lane);
  } else {
    four_positions(group.z, group.y * tile, out_times, o, quad_lane);
  }
}
