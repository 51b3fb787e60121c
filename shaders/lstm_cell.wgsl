// One frame of the LSTM cell, all lanes: the recurrent half of the gates, the cell state, the cell output.
//
//   (i, f, g, o) = gates_x[t] + W_hh h        i, f, o through sigmoid, g through tanh
//   c = f * c + i * g
//   m = o * tanh(c)                           the projection (or lstm_carry) turns m into the next h
//
// gates_x already holds W_ih x + b_ih + b_hh for every frame of the step. The four gate rows of a unit are
// interleaved, so that a unit's gates are one vec4 and W_hh lies in columns like the weights of linear.wgsl.
// Lanes that have no frame `at.frame` any more keep their state.
//
// One thread: one unit of `tile` lanes, of one, four or sixteen, with the same order of summation. The argument of exp is
// clamped where the result no longer changes in f32, since WGSL promises nothing about an overflow.
// Workgroups: (ceil(hidden / 32), ceil(lanes / tile), 1). Run once per frame, before the projection.

override tile: u32; // 1, 4 or 16
override weight_bits: u32; // 32 (f32), 16 (f16) or 8 (int8)
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

@group(0) @binding(0) var<storage, read> weight: array<vec4u>; // W_hh (ceil(hidden / 8), proj_vec4s, weight_bits / 8, 8)
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (hidden), a vec4 is i, f, g, o; int8 only
@group(0) @binding(2) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, hidden)
@group(0) @binding(3) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(4) var<storage, read> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(5) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(6) var<storage, read_write> m: array<f32>; // (lanes, hidden)
@group(0) @binding(7) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;

// Four inputs' weights for a unit's four gates, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its gate.
fn weights_at(k: u32, unit: u32) -> mat4x4f {
  let w = ((unit >> 3u) * proj_vec4s + k) * weight_bits + (unit & 7u);
  if (weight_bits == 32u) {
    return mat4x4f(
      bitcast<vec4f>(weight[w]),
      bitcast<vec4f>(weight[w + 8u]),
      bitcast<vec4f>(weight[w + 16u]),
      bitcast<vec4f>(weight[w + 24u])
    );
  }
  if (weight_bits == 16u) {
    let low = weight[w];
    let high = weight[w + 8u];
    return mat4x4f(
      vec4f(unpack2x16float(low.x), unpack2x16float(low.y)),
      vec4f(unpack2x16float(low.z), unpack2x16float(low.w)),
      vec4f(unpack2x16float(high.x), unpack2x16float(high.y)),
      vec4f(unpack2x16float(high.z), unpack2x16float(high.w))
    );
  }
  let q = weight[w];
  return mat4x4f(unpack4x8snorm(q.x), unpack4x8snorm(q.y), unpack4x8snorm(q.z), unpack4x8snorm(q.w));
}

fn scaled(sum: vec4f, unit: u32) -> vec4f {
  if (weight_bits == 8u) {
    return sum * scale[unit];
  }
  return sum;
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
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
  let gates = gates_x[(lane * step.frames + at.frame) * hidden + unit] + scaled(sum, unit);
  let cell = (lanes[lane].slot * layers + at.layer) * hidden + unit;
  let kept = sigmoid(gates.y) * c[cell];
  let next = fma(sigmoid(gates.x), tanh_exact(gates.z), kept);
  c[cell] = next;
  m[lane * hidden + unit] = sigmoid(gates.w) * tanh_exact(next);
}

fn one_lane(lane: u32, unit: u32) {
  let h0 = h_start(lane);
  var y0 = vec4f(0.0);
  for (var start = 0u; start < proj_vec4s; start += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = start; k < min(start + block_vec4s, proj_vec4s); k++) {
      s0 = multiply_add(weights_at(k, unit), h[h0 + k], s0);
    }
    y0 += s0;
  }
  update(lane, unit, y0);
}

// Four lanes, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// Where four lanes start in h; lanes past the end repeat the last one and are not written.
fn four_starts(lane: u32) -> vec4u {
  let last = step.lanes - 1u;
  return vec4u(
    h_start(min(lane, last)),
    h_start(min(lane + 1u, last)),
    h_start(min(lane + 2u, last)),
    h_start(min(lane + 3u, last))
  );
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(h[starts.x + k], h[starts.y + k], h[starts.z + k], h[starts.w + k]);
}

fn update_four(lane: u32, unit: u32, sums: mat4x4f) {
  if (lane < step.lanes) {
    update(lane, unit, sums[0]);
  }
  if (lane + 1u < step.lanes) {
    update(lane + 1u, unit, sums[1]);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, unit, sums[2]);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, unit, sums[3]);
  }
}

fn four_lanes(lane: u32, unit: u32) {
  let starts = four_starts(lane);
  var sums = mat4x4f();
  for (var start = 0u; start < proj_vec4s; start += block_vec4s) {
    var s = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, proj_vec4s); k++) {
      s = multiply_add_four(weights_at(k, unit), four_at(starts, k), s);
    }
    sums = sums + s;
  }
  update_four(lane, unit, sums);
}

fn sixteen_lanes(lane: u32, unit: u32) {
  let starts_a = four_starts(lane);
  let starts_b = four_starts(lane + 4u);
  let starts_c = four_starts(lane + 8u);
  let starts_d = four_starts(lane + 12u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var start = 0u; start < proj_vec4s; start += block_vec4s) {
    var sa = mat4x4f();
    var sb = mat4x4f();
    var sc = mat4x4f();
    var sd = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, proj_vec4s); k++) {
      let w = weights_at(k, unit);
      sa = multiply_add_four(w, four_at(starts_a, k), sa);
      sb = multiply_add_four(w, four_at(starts_b, k), sb);
      sc = multiply_add_four(w, four_at(starts_c, k), sc);
      sd = multiply_add_four(w, four_at(starts_d, k), sd);
    }
    ya = ya + sa;
    yb = yb + sb;
    yc = yc + sc;
    yd = yd + sd;
  }
  update_four(lane, unit, ya);
  update_four(lane + 4u, unit, yb);
  update_four(lane + 8u, unit, yc);
  update_four(lane + 12u, unit, yd);
}

@compute @workgroup_size(32)
fn lstm_cell(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let lane = id.y * tile;
  if (unit >= hidden || lane >= step.lanes) {
    return;
  }
  if (tile == 16u) {
    sixteen_lanes(lane, unit);
  } else if (tile == 4u) {
    four_lanes(lane, unit);
  } else {
    one_lane(lane, unit);
  }
}
