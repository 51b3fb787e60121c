// One frame of the LSTM's projection, all lanes, and the residual of its layer:
//
//   h = W_hr m
//   x[t] += h
//
// The weight lies in columns like that of linear.wgsl. Lanes that have no frame `at.frame` any more keep
// their h.
//
// One thread: four elements of h of `tile` lanes, of one, four or sixteen, with the same order of summation.
// Workgroups: (ceil(proj_vec4s / 32), ceil(lanes / tile), 1). Run once per frame, after lstm_cell.

override tile: u32; // 1, 4 or 16
override weight_bits: u32; // 32 (f32), 16 (f16) or 8 (int8)
override hidden_vec4s: u32; // ceil(units / 4)
override proj_vec4s: u32; // ceil(width of h / 4)
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

@group(0) @binding(0) var<storage, read> weight: array<vec4u>; // W_hr (ceil(proj_vec4s / 8), hidden_vec4s, weight_bits / 8, 8)
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (proj_vec4s), int8 only
@group(0) @binding(2) var<storage, read> m: array<vec4f>; // (lanes, hidden_vec4s)
@group(0) @binding(3) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(4) var<storage, read_write> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>; // (lanes, frames, proj_vec4s)
@group(0) @binding(6) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;

// Four inputs' weights for four outputs, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its output.
fn weights_at(k: u32, p: u32) -> mat4x4f {
  let w = ((p >> 3u) * hidden_vec4s + k) * weight_bits + (p & 7u);
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

fn scaled(sum: vec4f, p: u32) -> vec4f {
  if (weight_bits == 8u) {
    return sum * scale[p];
  }
  return sum;
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

fn update(lane: u32, p: u32, sum: vec4f) {
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  let value = scaled(sum, p);
  h[(lanes[lane].slot * layers + at.layer) * proj_vec4s + p] = value;
  x[(lane * step.frames + at.frame) * proj_vec4s + p] += value;
}

fn m_start(lane: u32) -> u32 {
  return lane * hidden_vec4s;
}

fn one_lane(lane: u32, p: u32) {
  let m0 = m_start(lane);
  var y0 = vec4f(0.0);
  for (var start = 0u; start < hidden_vec4s; start += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = start; k < min(start + block_vec4s, hidden_vec4s); k++) {
      s0 = multiply_add(weights_at(k, p), m[m0 + k], s0);
    }
    y0 += s0;
  }
  update(lane, p, y0);
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

// Where four lanes start in m; lanes past the end repeat the last one and are not written.
fn four_starts(lane: u32) -> vec4u {
  let last = step.lanes - 1u;
  return vec4u(
    m_start(min(lane, last)),
    m_start(min(lane + 1u, last)),
    m_start(min(lane + 2u, last)),
    m_start(min(lane + 3u, last))
  );
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(m[starts.x + k], m[starts.y + k], m[starts.z + k], m[starts.w + k]);
}

fn update_four(lane: u32, p: u32, sums: mat4x4f) {
  if (lane < step.lanes) {
    update(lane, p, sums[0]);
  }
  if (lane + 1u < step.lanes) {
    update(lane + 1u, p, sums[1]);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, p, sums[2]);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, p, sums[3]);
  }
}

fn four_lanes(lane: u32, p: u32) {
  let starts = four_starts(lane);
  var sums = mat4x4f();
  for (var start = 0u; start < hidden_vec4s; start += block_vec4s) {
    var s = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, hidden_vec4s); k++) {
      s = multiply_add_four(weights_at(k, p), four_at(starts, k), s);
    }
    sums = sums + s;
  }
  update_four(lane, p, sums);
}

fn sixteen_lanes(lane: u32, p: u32) {
  let starts_a = four_starts(lane);
  let starts_b = four_starts(lane + 4u);
  let starts_c = four_starts(lane + 8u);
  let starts_d = four_starts(lane + 12u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var start = 0u; start < hidden_vec4s; start += block_vec4s) {
    var sa = mat4x4f();
    var sb = mat4x4f();
    var sc = mat4x4f();
    var sd = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, hidden_vec4s); k++) {
      let w = weights_at(k, p);
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
  update_four(lane, p, ya);
  update_four(lane + 4u, p, yb);
  update_four(lane + 8u, p, yc);
  update_four(lane + 12u, p, yd);
}

@compute @workgroup_size(32)
fn lstm_projection(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  let lane = id.y * tile;
  if (p >= proj_vec4s || lane >= step.lanes) {
    return;
  }
  if (tile == 16u) {
    sixteen_lanes(lane, p);
  } else if (tile == 4u) {
    four_lanes(lane, p);
  } else {
    one_lane(lane, p);
  }
}
