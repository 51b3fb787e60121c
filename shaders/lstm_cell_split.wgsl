// lstm_cell.wgsl for processors of many cores: a workgroup's threads share the sums over the inputs as well, so that a
// single lane keeps the card busy. Each block of 64 inputs is summed by one thread, and the block sums are added in
// their order: the same operations in the same order as there, and so the same bytes.
//
// One workgroup: eight units of `tile` lanes, in 8 parts of the inputs; neighbouring threads read
// neighbouring vec4s of the weight.
// Workgroups: (ceil(hidden / 8), ceil(lanes / tile), 1). Run once per frame, before the projection.

override tile: u32; // 1 or 4
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
const outputs = 8u;
const parts = 8u;

var<workgroup> sums: array<vec4f, 4 * parts * outputs>;

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

// Four lanes, or one, over one block of inputs: into `sums`, (tile, parts, outputs).
fn sum_block(lane: u32, unit: u32, column: u32, part: u32, index: u32) {
  let start = index * block_vec4s;
  let end = min(start + block_vec4s, proj_vec4s);
  let place = part * outputs + column;
  let x0 = h_start(lane);
  var s0 = vec4f(0.0);
  if (tile == 1u) {
    for (var k = start; k < end; k++) {
      s0 = multiply_add(weights_at(k, unit), h[x0 + k], s0);
    }
    sums[place] = s0;
    return;
  }
  // Lanes past the end repeat the last one and are not written.
  let last = step.lanes - 1u;
  let x1 = h_start(min(lane + 1u, last));
  let x2 = h_start(min(lane + 2u, last));
  let x3 = h_start(min(lane + 3u, last));
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var k = start; k < end; k++) {
    let w = weights_at(k, unit);
    s0 = multiply_add(w, h[x0 + k], s0);
    s1 = multiply_add(w, h[x1 + k], s1);
    s2 = multiply_add(w, h[x2 + k], s2);
    s3 = multiply_add(w, h[x3 + k], s3);
  }
  sums[place] = s0;
  sums[place + parts * outputs] = s1;
  sums[place + 2u * parts * outputs] = s2;
  sums[place + 3u * parts * outputs] = s3;
}

@compute @workgroup_size(8, 8)
fn lstm_cell_split(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let unit = group.x * outputs + thread.x;
  let part = thread.y;
  let lane = group.y * tile;
  let blocks = (proj_vec4s + block_vec4s - 1u) / block_vec4s;
  // Of the first threads along y, each adds up the sums of one lane.
  var total = vec4f(0.0);
  for (var first = 0u; first < blocks; first += parts) {
    if (first + part < blocks) {
      sum_block(lane, min(unit, hidden - 1u), thread.x, part, first + part);
    }
    workgroupBarrier();
    if (part < tile) {
      for (var p = 0u; p < min(parts, blocks - first); p++) {
        total += sums[(part * parts + p) * outputs + thread.x];
      }
    }
    workgroupBarrier();
  }
  if (part < tile && lane + part < step.lanes && unit < hidden) {
    update(lane + part, unit, total);
  }
}
