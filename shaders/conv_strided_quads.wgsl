// conv_strided_texels.wgsl with the inputs shared among the four invocations of a quad, as in linear_quads.wgsl: the same
// operations in the same order, and so the same bytes.
//
// One thread: eight output channels, two texels, at `tile` positions, four or eight, of which all threads of a workgroup
// have the same.
// Workgroups: (ceil(out_vec4s / 8), ceil(out_times * out_freqs / tile), lanes). Needs the feature `subgroups`.
enable subgroups;

override tile: u32; // 4 or 8
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

// (ceil(out_vec4s / 8), ceil(9 * in_vec4s / 16)) rows of (64, 8) texels: inputs (3, 3, 4 * in_vec4s), vec4s of outputs
@group(0) @binding(0) var weight: texture_2d<f32>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<f32>; // (lanes, 2 * out_times + 1, in_freqs, 4 * in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (lanes, out_times, out_freqs, out_vec4s)
@group(0) @binding(4) var<uniform> step: Step;
@group(0) @binding(5) var nearest: sampler;

// Of a workgroup. A thread has its own texel of a row of weights and the one so many further on.
const threads = 4u;

fn double_swish(x: vec4f) -> vec4f {
  return x / (1.0 + exp(min(1.0 - x, vec4f(80.0))));
}

// Where the 3x3 window of an output position starts in x.
fn window_start(lane: u32, position: u32, out_times: u32) -> u32 {
  let t = position / out_freqs;
  let f = position % out_freqs;
  return ((lane * (2u * out_times + 1u) + 2u * t) * in_freqs + 2u * f) * 4u * in_vec4s;
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

// Four inputs' weights for four output channels, a column for each input: texels, asked for by their middles. Shifts, since
// SwiftShader divides integers one by one.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  let blocks = (9u * in_vec4s + 15u) >> 4u;
  let rows = ((out_vec4s + 7u) >> 3u) * blocks;
  let across = (f32(((k & 63u) << 3u) + (o & 7u)) + vec4f(0.5, 8.5, 16.5, 24.5)) / 512.0;
  let down = (f32((o >> 3u) * blocks + (k >> 6u)) + 0.5) / f32(rows);
  return mat4x4f(
    textureSampleLevel(weight, nearest, vec2f(across.x, down), 0.0),
    textureSampleLevel(weight, nearest, vec2f(across.y, down), 0.0),
    textureSampleLevel(weight, nearest, vec2f(across.z, down), 0.0),
    textureSampleLevel(weight, nearest, vec2f(across.w, down), 0.0)
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

// Four inputs, of which each invocation of the quad has loaded one.
fn of_quad(own: f32) -> vec4f {
  return vec4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

// Of four positions.
fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(
    of_quad(x[starts.x + k]),
    of_quad(x[starts.y + k]),
    of_quad(x[starts.z + k]),
    of_quad(x[starts.w + k])
  );
}

fn four_times_bias(o: u32) -> mat4x4f {
  let b = bias[min(o, out_vec4s - 1u)];
  return mat4x4f(b, b, b, b);
}

fn store(lane: u32, position: u32, positions: u32, o: u32, sum: vec4f) {
  if (position < positions && o < out_vec4s) {
    y[(lane * positions + position) * out_vec4s + o] = double_swish(sum);
  }
}

fn store_four(lane: u32, first: u32, positions: u32, o: u32, sums: mat4x4f) {
  store(lane, first, positions, o, sums[0]);
  store(lane, first + 1u, positions, o, sums[1]);
  store(lane, first + 2u, positions, o, sums[2]);
  store(lane, first + 3u, positions, o, sums[3]);
}

// Where the k-th input of a window, three rows of 3 * 4 * in_vec4s, lies in x from the window's start.
fn in_window(k: u32) -> u32 {
  let run = 12u * in_vec4s;
  let row = select(0u, 1u, k >= run) + select(0u, 1u, k >= 2u * run);
  return row * (in_freqs * 4u * in_vec4s - run) + k;
}

fn four_positions(lane: u32, first: u32, out_times: u32, o: u32, quad_lane: u32) {
  let starts = window_starts(lane, first, out_times) + quad_lane;
  var a = four_times_bias(o);
  var b = four_times_bias(o + threads);
  for (var k = 0u; k < 36u * in_vec4s; k += 4u) {
    let rows = four_at(starts, in_window(k));
    a = multiply_add_four(weights_at(k, o), rows, a);
    b = multiply_add_four(weights_at(k, o + threads), rows, b);
  }
  let positions = out_times * out_freqs;
  store_four(lane, first, positions, o, a);
  store_four(lane, first, positions, o + threads, b);
}

fn eight_positions(lane: u32, first: u32, out_times: u32, o: u32, quad_lane: u32) {
  let starts_a = window_starts(lane, first, out_times) + quad_lane;
  let starts_c = window_starts(lane, first + 4u, out_times) + quad_lane;
  var a = four_times_bias(o);
  var b = four_times_bias(o + threads);
  var c = a;
  var d = b;
  for (var k = 0u; k < 36u * in_vec4s; k += 4u) {
    let rows_a = four_at(starts_a, in_window(k));
    let rows_c = four_at(starts_c, in_window(k));
    let wa = weights_at(k, o);
    a = multiply_add_four(wa, rows_a, a);
    c = multiply_add_four(wa, rows_c, c);
    let wb = weights_at(k, o + threads);
    b = multiply_add_four(wb, rows_a, b);
    d = multiply_add_four(wb, rows_c, d);
  }
  let positions = out_times * out_freqs;
  store_four(lane, first, positions, o, a);
  store_four(lane, first, positions, o + threads, b);
  store_four(lane, first + 4u, positions, o, c);
  store_four(lane, first + 4u, positions, o + threads, d);
}

@compute @workgroup_size(4)
fn conv_strided_quads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  // No thread leaves early: the quads load together.
  let out_times = step.frames * times_per_frame + times_extra;
  let o = group.x * 2u * threads + thread.x;
  let quad_lane = subgroup_lane % 4u;
  if (tile == 8u) {
    eight_positions(group.z, group.y * tile, out_times, o, quad_lane);
  } else {
    four_positions(group.z, group.y * tile, out_times, o, quad_lane);
  }
}
