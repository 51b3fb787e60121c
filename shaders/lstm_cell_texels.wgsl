// lstm_cell.wgsl with the weights in a texture, four gates to a texel, and the inputs shared among the four invocations
// of a quad: the same operations in the same order, and so the same bytes. On SwiftShader a texel takes a fraction of
// the time of four loads from a buffer, and a vec4 loaded once for four invocations a quarter. The texture's format
// unpacks the weights (rgba32float, rgba16float, rgba8snorm).
//
// One thread: one unit of `tile` lanes, of one, four or sixteen, of which all threads of a workgroup have the same.
// Inputs are padded to sixteen with zero weights.
// Workgroups: (ceil(hidden / 8), ceil(lanes / tile), 1). Run once per frame, before the projection. Needs the feature `subgroups`.
enable subgroups;

override tile: u32; // 1, 4 or 16
override int8: bool; // relative to the scale of its gate
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

@group(0) @binding(0) var weight: texture_2d<f32>; // W_hh (width of h rounded up to 16, hidden), a texel is i, f, g, o
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (hidden), int8 only
@group(0) @binding(2) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, hidden)
@group(0) @binding(3) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(4) var<storage, read> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(5) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(6) var<storage, read_write> m: array<f32>; // (lanes, hidden)
@group(0) @binding(7) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in lstm_cell.wgsl.
const block_vec4s = 16u;

fn scaled(sum: vec4f, unit: u32) -> vec4f {
  if (int8) {
    return sum * scale[unit];
  }
  return sum;
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
  return (lanes[min(lane, step.lanes - 1u)].slot * layers + at.layer) * proj_vec4s;
}

fn update(lane: u32, unit: u32, sum: vec4f) {
  if (lane >= step.lanes || unit >= hidden) {
    return;
  }
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

// Four inputs' weights for a unit's four gates, a column for each input.
fn weights_at(k: u32, unit: u32) -> mat4x4f {
  return mat4x4f(
    textureLoad(weight, vec2u(unit, 4u * k), 0),
    textureLoad(weight, vec2u(unit, 4u * k + 1u), 0),
    textureLoad(weight, vec2u(unit, 4u * k + 2u), 0),
    textureLoad(weight, vec2u(unit, 4u * k + 3u), 0)
  );
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

// The same for four lanes, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// What one invocation of the quad has loaded of four lanes.
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
  return mat4x4f(h[starts.x + k], h[starts.y + k], h[starts.z + k], h[starts.w + k]);
}

// Where four lanes start in h; lanes past the end repeat the last one and are not written.
fn four_starts(lane: u32) -> vec4u {
  return vec4u(h_start(lane), h_start(lane + 1u), h_start(lane + 2u), h_start(lane + 3u));
}

fn one_lane(lane: u32, unit: u32, quad_lane: u32) {
  let x0 = h_start(lane);
  var y0 = vec4f(0.0);
  for (var first = 0u; first < proj_vec4s; first += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = first; k < min(first + block_vec4s, proj_vec4s); k += 4u) {
      let own = h[x0 + min(k + quad_lane, proj_vec4s - 1u)];
      s0 = multiply_add(weights_at(k, unit), quadBroadcast(own, 0u), s0);
      s0 = multiply_add(weights_at(k + 1u, unit), quadBroadcast(own, 1u), s0);
      s0 = multiply_add(weights_at(k + 2u, unit), quadBroadcast(own, 2u), s0);
      s0 = multiply_add(weights_at(k + 3u, unit), quadBroadcast(own, 3u), s0);
    }
    y0 += s0;
  }
  update(lane, unit, y0);
}

fn four_lanes(lane: u32, unit: u32, quad_lane: u32) {
  let starts = four_starts(lane);
  var sums = mat4x4f();
  for (var first = 0u; first < proj_vec4s; first += block_vec4s) {
    var s = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, proj_vec4s); k += 4u) {
      let own = four_at(starts, min(k + quad_lane, proj_vec4s - 1u));
      s = multiply_add_four(weights_at(k, unit), from_first(own), s);
      s = multiply_add_four(weights_at(k + 1u, unit), from_second(own), s);
      s = multiply_add_four(weights_at(k + 2u, unit), from_third(own), s);
      s = multiply_add_four(weights_at(k + 3u, unit), from_fourth(own), s);
    }
    sums = sums + s;
  }
  store_four(lane, unit, sums);
}

fn sixteen_lanes(lane: u32, unit: u32, quad_lane: u32) {
  let starts_a = four_starts(lane);
  let starts_b = four_starts(lane + 4u);
  let starts_c = four_starts(lane + 8u);
  let starts_d = four_starts(lane + 12u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var first = 0u; first < proj_vec4s; first += block_vec4s) {
    var a = mat4x4f();
    var b = mat4x4f();
    var c = mat4x4f();
    var d = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, proj_vec4s); k += 4u) {
      let own = min(k + quad_lane, proj_vec4s - 1u);
      let own_a = four_at(starts_a, own);
      let own_b = four_at(starts_b, own);
      let own_c = four_at(starts_c, own);
      let own_d = four_at(starts_d, own);
      let w0 = weights_at(k, unit);
      a = multiply_add_four(w0, from_first(own_a), a);
      b = multiply_add_four(w0, from_first(own_b), b);
      c = multiply_add_four(w0, from_first(own_c), c);
      d = multiply_add_four(w0, from_first(own_d), d);
      let w1 = weights_at(k + 1u, unit);
      a = multiply_add_four(w1, from_second(own_a), a);
      b = multiply_add_four(w1, from_second(own_b), b);
      c = multiply_add_four(w1, from_second(own_c), c);
      d = multiply_add_four(w1, from_second(own_d), d);
      let w2 = weights_at(k + 2u, unit);
      a = multiply_add_four(w2, from_third(own_a), a);
      b = multiply_add_four(w2, from_third(own_b), b);
      c = multiply_add_four(w2, from_third(own_c), c);
      d = multiply_add_four(w2, from_third(own_d), d);
      let w3 = weights_at(k + 3u, unit);
      a = multiply_add_four(w3, from_fourth(own_a), a);
      b = multiply_add_four(w3, from_fourth(own_b), b);
      c = multiply_add_four(w3, from_fourth(own_c), c);
      d = multiply_add_four(w3, from_fourth(own_d), d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(lane, unit, ya);
  store_four(lane + 4u, unit, yb);
  store_four(lane + 8u, unit, yc);
  store_four(lane + 12u, unit, yd);
}

fn store_four(lane: u32, unit: u32, sums: mat4x4f) {
  for (var r = 0u; r < 4u; r++) {
    update(lane + r, unit, sums[r]);
  }
}

@compute @workgroup_size(8)
fn lstm_cell_texels(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  // No thread leaves early: the quads load together.
  let unit = group.x * 8u + thread.x;
  let quad_lane = subgroup_lane % 4u;
  let lane = group.y * tile;
  if (tile == 16u) {
    sixteen_lanes(lane, unit, quad_lane);
  } else if (tile == 4u) {
    four_lanes(lane, unit, quad_lane);
  } else {
    one_lane(lane, unit, quad_lane);
  }
}
