// lstm_cell.wgsl in f16 arithmetic, as linear_half.wgsl has it: sums of 16 inputs are f16, what
// follows is f32. The bytes do not depend on the tile.
//
// One thread: one unit of `tile` lanes, of four or of one.
// Workgroups: (ceil(hidden / 32), ceil(lanes / tile), 1). Run once per frame, before the projection. Needs the feature
// `shader-f16`.
enable f16;

override tile: u32; // 1 or 4
override proj_vec4s: u32; // ceil(width of h / 4)
override hidden: u32; // units, padded to a multiple of 4; padding units stay zero
override layers: u32;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

struct Lane {
  slot: u32,
  frames: u32, // encoder frames of this lane, 1 ..= step.frames
}

struct At {
  layer: u32,
  frame: u32,
}

@group(0) @binding(0) var<storage, read> weight: array<mat2x4<f16>>; // W_hh (ceil(hidden / 8), proj_vec4s, 2, 8), two inputs each
@group(0) @binding(1) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, hidden)
@group(0) @binding(2) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(3) var<storage, read> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(5) var<storage, read_write> m: array<f32>; // (lanes, hidden)
@group(0) @binding(6) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// vec4s of inputs that are summed in f16; h, a weighted sum of numbers in (-1, 1), is far within the range of f16.
const run_vec4s = 4u;

fn multiply_add(low: mat2x4<f16>, high: mat2x4<f16>, value: vec4<f16>, sum: vec4<f16>) -> vec4<f16> {
  let first = fma(vec4<f16>(value.y), low[1], fma(vec4<f16>(value.x), low[0], sum));
  return fma(vec4<f16>(value.w), high[1], fma(vec4<f16>(value.z), high[0], first));
}

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

// WGSL allows its own tanh an error of 1e-5; this form is good to 2e-7 and cannot overflow.
fn tanh_exact(x: f32) -> f32 {
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}

fn h_start(lane: u32) -> u32 {
  return (lanes[lane].slot * layers + at.layer) * proj_vec4s;
}

fn update(lane: u32, unit: u32, sum: vec4f) {
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  let gates = gates_x[(lane * step.frames + at.frame) * hidden + unit] + sum;
  let cell = (lanes[lane].slot * layers + at.layer) * hidden + unit;
  let kept = sigmoid(gates.y) * c[cell];
  let next = fma(sigmoid(gates.x), tanh_exact(gates.z), kept);
  c[cell] = next;
  m[lane * hidden + unit] = sigmoid(gates.w) * tanh_exact(next);
}

fn one_lane(lane: u32, unit: u32) {
  let h0 = h_start(lane);
  var y0 = vec4f(0.0);
  for (var start = 0u; start < proj_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, proj_vec4s); k++) {
      let w = ((unit >> 3u) * proj_vec4s + k) * 16u + (unit & 7u);
      s0 = multiply_add(weight[w], weight[w + 8u], vec4<f16>(h[h0 + k]), s0);
    }
    y0 += vec4f(s0);
  }
  update(lane, unit, y0);
}

fn four_lanes(lane: u32, unit: u32) {
  // Lanes past the end repeat the last one and are not written.
  let last = step.lanes - 1u;
  let h0 = h_start(lane);
  let h1 = h_start(min(lane + 1u, last));
  let h2 = h_start(min(lane + 2u, last));
  let h3 = h_start(min(lane + 3u, last));
  var y0 = vec4f(0.0);
  var y1 = vec4f(0.0);
  var y2 = vec4f(0.0);
  var y3 = vec4f(0.0);
  for (var start = 0u; start < proj_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    var s1 = vec4<f16>();
    var s2 = vec4<f16>();
    var s3 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, proj_vec4s); k++) {
      let w = ((unit >> 3u) * proj_vec4s + k) * 16u + (unit & 7u);
      let low = weight[w];
      let high = weight[w + 8u];
      s0 = multiply_add(low, high, vec4<f16>(h[h0 + k]), s0);
      s1 = multiply_add(low, high, vec4<f16>(h[h1 + k]), s1);
      s2 = multiply_add(low, high, vec4<f16>(h[h2 + k]), s2);
      s3 = multiply_add(low, high, vec4<f16>(h[h3 + k]), s3);
    }
    y0 += vec4f(s0);
    y1 += vec4f(s1);
    y2 += vec4f(s2);
    y3 += vec4f(s3);
  }
  update(lane, unit, y0);
  if (lane + 1u < step.lanes) {
    update(lane + 1u, unit, y1);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, unit, y2);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, unit, y3);
  }
}

@compute @workgroup_size(32)
fn lstm_cell_half(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let lane = id.y * tile;
  if (unit >= hidden || lane >= step.lanes) {
    return;
  }
  if (tile == 4u) {
    four_lanes(lane, unit);
  } else {
    one_lane(lane, unit);
  }
}
