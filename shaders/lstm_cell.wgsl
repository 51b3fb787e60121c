// One frame of the LSTM cell, all lanes: the recurrent half of the gates, the cell state, the cell output.
//
//   (i, f, g, o) = gates_x[t] + W_hh h        i, f, o through sigmoid, g through tanh
//   c = f * c + i * g
//   m = o * tanh(c)                           the projection (or lstm_carry) turns m into the next h
//
// gates_x already holds W_ih x + b_ih + b_hh for every frame of the step. The four gate rows of a unit are
// interleaved, so that a unit's gates are one vec4 and W_hh is column-major like the weights of linear.wgsl.
// Lanes that have no frame `at.frame` any more keep their state.
//
// One thread: one unit of four lanes; a tile of a single lane takes the short path, with the same order
// of summation. The argument of exp is clamped where the result no longer changes in f32, since WGSL
// promises nothing about an overflow.
// Workgroups: (ceil(hidden / 32), ceil(lanes / 4), 1). Run once per frame, before the projection.

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

@group(0) @binding(0) var<storage, read> weight_hh: array<vec4f>; // (4 * proj_vec4s, hidden), a vec4 is i, f, g, o
@group(0) @binding(1) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, hidden)
@group(0) @binding(2) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(3) var<storage, read> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(5) var<storage, read_write> m: array<f32>; // (lanes, hidden)
@group(0) @binding(6) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

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

fn gates_start(lane: u32, unit: u32) -> vec4f {
  return gates_x[(lane * step.frames + at.frame) * hidden + unit];
}

fn update(lane: u32, unit: u32, gates: vec4f) {
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  let cell = (lanes[lane].slot * layers + at.layer) * hidden + unit;
  let kept = sigmoid(gates.y) * c[cell];
  let next = fma(sigmoid(gates.x), tanh_exact(gates.z), kept);
  c[cell] = next;
  m[lane * hidden + unit] = sigmoid(gates.w) * tanh_exact(next);
}

fn one_lane(lane: u32, unit: u32) {
  let h0 = h_start(lane);
  var g0 = gates_start(lane, unit);
  var w = unit;
  for (var k = 0u; k < proj_vec4s; k++) {
    let v0 = h[h0 + k];
    g0 = fma(vec4f(v0.x), weight_hh[w], g0);
    g0 = fma(vec4f(v0.y), weight_hh[w + hidden], g0);
    g0 = fma(vec4f(v0.z), weight_hh[w + 2u * hidden], g0);
    g0 = fma(vec4f(v0.w), weight_hh[w + 3u * hidden], g0);
    w += 4u * hidden;
  }
  update(lane, unit, g0);
}

fn four_lanes(lane: u32, unit: u32) {
  // Lanes past the end repeat the last one and are not written.
  let last = step.lanes - 1u;
  let h0 = h_start(lane);
  let h1 = h_start(min(lane + 1u, last));
  let h2 = h_start(min(lane + 2u, last));
  let h3 = h_start(min(lane + 3u, last));
  var g0 = gates_start(lane, unit);
  var g1 = gates_start(min(lane + 1u, last), unit);
  var g2 = gates_start(min(lane + 2u, last), unit);
  var g3 = gates_start(min(lane + 3u, last), unit);
  var w = unit;
  for (var k = 0u; k < proj_vec4s; k++) {
    let w0 = weight_hh[w];
    let w1 = weight_hh[w + hidden];
    let w2 = weight_hh[w + 2u * hidden];
    let w3 = weight_hh[w + 3u * hidden];
    w += 4u * hidden;
    let v0 = h[h0 + k];
    g0 = fma(vec4f(v0.w), w3, fma(vec4f(v0.z), w2, fma(vec4f(v0.y), w1, fma(vec4f(v0.x), w0, g0))));
    let v1 = h[h1 + k];
    g1 = fma(vec4f(v1.w), w3, fma(vec4f(v1.z), w2, fma(vec4f(v1.y), w1, fma(vec4f(v1.x), w0, g1))));
    let v2 = h[h2 + k];
    g2 = fma(vec4f(v2.w), w3, fma(vec4f(v2.z), w2, fma(vec4f(v2.y), w1, fma(vec4f(v2.x), w0, g2))));
    let v3 = h[h3 + k];
    g3 = fma(vec4f(v3.w), w3, fma(vec4f(v3.z), w2, fma(vec4f(v3.y), w1, fma(vec4f(v3.x), w0, g3))));
  }
  update(lane, unit, g0);
  if (lane + 1u < step.lanes) {
    update(lane + 1u, unit, g1);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, unit, g2);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, unit, g3);
  }
}

@compute @workgroup_size(32)
fn lstm_cell(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let lane = id.y * 4u;
  if (unit >= hidden || lane >= step.lanes) {
    return;
  }
  if (lane + 1u == step.lanes) {
    one_lane(lane, unit);
  } else {
    four_lanes(lane, unit);
  }
}
