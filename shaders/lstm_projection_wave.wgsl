// The LSTM's projection and the residual in several layers at a time, as lstm_cell_wave.wgsl has them:
//
//   h = W_hr m
//   x[t] = n x[t] + h                        n is the factor of the norm before the layer
//
// The same operations in the same order as in basic_norm and lstm_projection, and so the same bytes.
//
// One workgroup: eight times four elements of h of `tile` lanes in one layer, in 8 parts of the inputs.
// Workgroups: (ceil(proj_vec4s / 8), ceil(lanes / tile), layers of the wave). Run after lstm_cell_wave.

override tile: u32; // 1 or 4
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
  layer: u32, // of z = 0
  frame: u32,
}

// (layers, ceil(proj_vec4s / 8), hidden_vec4s, weight_bits / 8, 8), each layer padded to a multiple of 16 vec4s.
@group(0) @binding(0) var<storage, read> weight: array<vec4u>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (layers, proj_vec4s), int8 only
@group(0) @binding(2) var<storage, read> m: array<vec4f>; // (lanes, frames, hidden_vec4s + 1): m; then n, and padding
@group(0) @binding(3) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(4) var<storage, read_write> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>; // (lanes, frames, proj_vec4s)
@group(0) @binding(6) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;
const outputs = 8u;
const parts = 8u;
const largest = 3.4e38;

var<workgroup> sums: array<vec4f, 4 * parts * outputs>; // (tile, parts, outputs)

// Four inputs' weights for four outputs, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its output.
fn weights_at(start: u32, k: u32, p: u32) -> mat4x4f {
  let w = start + ((p >> 3u) * hidden_vec4s + k) * weight_bits + (p & 7u);
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

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

// Lanes past the end repeat the last one and are not written.
fn m_start(lane: u32, frame: u32) -> u32 {
  return (min(lane, step.lanes - 1u) * step.frames + frame) * (hidden_vec4s + 1u);
}

fn update(lane: u32, p: u32, layer: u32, frame: u32, sum: vec4f) {
  if (frame >= lanes[lane].frames) {
    return;
  }
  var value = sum;
  if (weight_bits == 8u) {
    value = sum * scale[layer * proj_vec4s + p];
  }
  h[(lanes[lane].slot * layers + layer) * proj_vec4s + p] = value;
  let n = m[m_start(lane, frame) + hidden_vec4s].x;
  let element = (lane * step.frames + frame) * proj_vec4s + p;
  // Without a bound a compiler may fuse the product and the sum that follows, which would round once less than two
  // kernels do.
  x[element] = clamp(x[element] * n, vec4f(-largest), vec4f(largest)) + value;
}

// Four lanes, or one, over one block of inputs: into `sums`, (tile, parts, outputs).
fn sum_block(starts: vec4u, weights: u32, p: u32, place: u32, begin: u32) {
  let end = min(begin + block_vec4s, hidden_vec4s);
  var s0 = vec4f(0.0);
  if (tile == 1u) {
    for (var k = begin; k < end; k++) {
      s0 = multiply_add(weights_at(weights, k, p), m[starts.x + k], s0);
    }
    sums[place] = s0;
    return;
  }
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var k = begin; k < end; k++) {
    let w = weights_at(weights, k, p);
    s0 = multiply_add(w, m[starts.x + k], s0);
    s1 = multiply_add(w, m[starts.y + k], s1);
    s2 = multiply_add(w, m[starts.z + k], s2);
    s3 = multiply_add(w, m[starts.w + k], s3);
  }
  sums[place] = s0;
  sums[place + parts * outputs] = s1;
  sums[place + 2u * parts * outputs] = s2;
  sums[place + 3u * parts * outputs] = s3;
}

@compute @workgroup_size(8, 8)
fn lstm_projection_wave(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let layer = at.layer + group.z;
  let frame = at.frame - group.z;
  let p = group.x * outputs + thread.x;
  let column = min(p, proj_vec4s - 1u);
  let part = thread.y;
  let lane = group.y * tile;
  let weights = layer * ((((proj_vec4s + 7u) >> 3u) * hidden_vec4s * weight_bits + 15u) / 16u * 16u);
  let starts = vec4u(
    m_start(lane, frame), m_start(lane + 1u, frame), m_start(lane + 2u, frame), m_start(lane + 3u, frame)
  );
  let blocks = (hidden_vec4s + block_vec4s - 1u) / block_vec4s;
  // Of the first threads along y, each adds up the sums of one lane.
  var total = vec4f(0.0);
  for (var first = 0u; first < blocks; first += parts) {
    if (first + part < blocks) {
      sum_block(starts, weights, column, part * outputs + thread.x, (first + part) * block_vec4s);
    }
    workgroupBarrier();
    if (part < tile) {
      for (var q = 0u; q < min(parts, blocks - first); q++) {
        total += sums[(part * parts + q) * outputs + thread.x];
      }
    }
    workgroupBarrier();
  }
  if (part < tile && lane + part < step.lanes && p < proj_vec4s) {
    update(lane + part, p, layer, frame, total);
  }
}
