// lstm_cell_texels.wgsl with the inputs shared among the four invocations of a quad, as in linear_quads.wgsl: the same
// operations in the same order, and so the same bytes.
//
// One thread: two units of `tile` lanes, of one, four or eight, of which all threads of a workgroup have the same.
// Workgroups: (ceil(hidden / 8), ceil(lanes / tile), 1). Run once per frame, before the projection. Needs the feature
// `subgroups`.
enable subgroups;

override tile: u32; // 1, 4 or 8
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

// W_hh: (ceil(hidden / 8), ceil(proj_vec4s / 16)) rows of (64, 8) texels: inputs, units; a texel is i, f, g, o
@group(0) @binding(0) var weight: texture_2d<f32>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (hidden), int8 only
@group(0) @binding(2) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, hidden)
@group(0) @binding(3) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(4) var<storage, read> h: array<f32>; // (slots, layers, 4 * proj_vec4s)
@group(0) @binding(5) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(6) var<storage, read_write> m: array<f32>; // (lanes, hidden)
@group(0) @binding(7) var<uniform> step: Step;
@group(0) @binding(8) var nearest: sampler;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in lstm_cell.wgsl.
const block_inputs = 64u;

// Of a workgroup. A thread has its own texel of a row of weights and the one so many further on.
const threads = 4u;

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
  return (lanes[min(lane, step.lanes - 1u)].slot * layers + at.layer) * 4u * proj_vec4s;
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

// In int8 by way of the byte itself: samplers may round its fraction otherwise than unpack4x8snorm does.
fn texel(at: vec2f) -> vec4f {
  let texel_weights = textureSampleLevel(weight, nearest, at, 0.0);
  if (int8) {
    return unpack4x8snorm(pack4x8snorm(texel_weights));
  }
  return texel_weights;
}

// Four inputs' weights for a unit's four gates, a column for each input: texels, asked for by their middles. Shifts, since
// SwiftShader divides integers one by one.
fn weights_at(k: u32, unit: u32) -> mat4x4f {
  let blocks = (proj_vec4s + 15u) >> 4u;
  let rows = ((hidden + 7u) >> 3u) * blocks;
  let across = (f32(((k & 63u) << 3u) + (unit & 7u)) + vec4f(0.5, 8.5, 16.5, 24.5)) / 512.0;
  let down = (f32((unit >> 3u) * blocks + (k >> 6u)) + 0.5) / f32(rows);
  return mat4x4f(
    texel(vec2f(across.x, down)),
    texel(vec2f(across.y, down)),
    texel(vec2f(across.z, down)),
    texel(vec2f(across.w, down))
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

// Four inputs, of which each invocation of the quad has loaded one.
fn of_quad(own: f32) -> vec4f {
  return vec4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

// Of four lanes.
fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(
    of_quad(h[starts.x + k]),
    of_quad(h[starts.y + k]),
    of_quad(h[starts.z + k]),
    of_quad(h[starts.w + k])
  );
}

// Where four lanes start in h; lanes past the end repeat the last one and are not written.
fn four_starts(lane: u32) -> vec4u {
  return vec4u(h_start(lane), h_start(lane + 1u), h_start(lane + 2u), h_start(lane + 3u));
}

fn one_lane(lane: u32, unit: u32, quad_lane: u32) {
  let inputs = 4u * proj_vec4s;
  let start = h_start(lane) + quad_lane;
  var ya = vec4f(0.0);
  var yb = vec4f(0.0);
  for (var first = 0u; first < inputs; first += block_inputs) {
    var a = vec4f(0.0);
    var b = vec4f(0.0);
    for (var k = first; k < min(first + block_inputs, inputs); k += 4u) {
      let own = of_quad(h[start + k]);
      a = multiply_add(weights_at(k, unit), own, a);
      b = multiply_add(weights_at(k, unit + threads), own, b);
    }
    ya += a;
    yb += b;
  }
  update(lane, unit, ya);
  update(lane, unit + threads, yb);
}

fn four_lanes(lane: u32, unit: u32, quad_lane: u32) {
  let inputs = 4u * proj_vec4s;
  let starts = four_starts(lane) + quad_lane;
  var ya = mat4x4f();
  var yb = mat4x4f();
  for (var first = 0u; first < inputs; first += block_inputs) {
    var a = mat4x4f();
    var b = mat4x4f();
    for (var k = first; k < min(first + block_inputs, inputs); k += 4u) {
      let rows = four_at(starts, k);
      a = multiply_add_four(weights_at(k, unit), rows, a);
      b = multiply_add_four(weights_at(k, unit + threads), rows, b);
    }
    ya = ya + a;
    yb = yb + b;
  }
  store_four(lane, unit, ya);
  store_four(lane, unit + threads, yb);
}

fn eight_lanes(lane: u32, unit: u32, quad_lane: u32) {
  let inputs = 4u * proj_vec4s;
  let starts_a = four_starts(lane) + quad_lane;
  let starts_c = four_starts(lane + 4u) + quad_lane;
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var first = 0u; first < inputs; first += block_inputs) {
    var a = mat4x4f();
    var b = mat4x4f();
    var c = mat4x4f();
    var d = mat4x4f();
    for (var k = first; k < min(first + block_inputs, inputs); k += 4u) {
      let rows_a = four_at(starts_a, k);
      let rows_c = four_at(starts_c, k);
      let wa = weights_at(k, unit);
      a = multiply_add_four(wa, rows_a, a);
      c = multiply_add_four(wa, rows_c, c);
      let wb = weights_at(k, unit + threads);
      b = multiply_add_four(wb, rows_a, b);
      d = multiply_add_four(wb, rows_c, d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(lane, unit, ya);
  store_four(lane, unit + threads, yb);
  store_four(lane + 4u, unit, yc);
  store_four(lane + 4u, unit + threads, yd);
}

fn store_four(lane: u32, unit: u32, sums: mat4x4f) {
  update(lane, unit, sums[0]);
  update(lane + 1u, unit, sums[1]);
  update(lane + 2u, unit, sums[2]);
  update(lane + 3u, unit, sums[3]);
}

@compute @workgroup_size(4)
fn lstm_cell_quads(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  // No thread leaves early: the quads load together.
  let unit = group.x * 2u * threads + thread.x;
  let quad_lane = subgroup_lane % 4u;
  let lane = group.y * tile;
  if (tile == 8u) {
    eight_lanes(lane, unit, quad_lane);
  } else if (tile == 4u) {
    four_lanes(lane, unit, quad_lane);
  } else {
    one_lane(lane, unit, quad_lane);
  }
}
