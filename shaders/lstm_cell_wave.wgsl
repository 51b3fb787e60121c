// One frame of the LSTM cell in several layers at a time: a wave. Layer `at.layer + z` is at frame `at.frame - z`, so
// that each layer finds the frame's x left by the layer before in the last wave, and its own h and c.
//
//   n = (mean(x[t]^2) + eps) ^ (-1/2)        the norm that ends the layer before (or the embedding)
//   (i, f, g, o) = W_ih (n x[t]) + b_ih + b_hh + W_hh h
//   c, m                                     as in lstm_cell.wgsl
//
// What basic_norm, linear and lstm_cell do in three dispatches for each layer, in one for all layers of the wave, and
// each operation in the same order: the same bytes. n is left behind m for lstm_projection_wave. The threads of a
// workgroup share the sums over the inputs as in lstm_cell_split.wgsl.
//
// One workgroup: eight units of `tile` lanes in one layer, in 8 parts of the inputs.
// Workgroups: (ceil(hidden / 8), ceil(lanes / tile), layers of the wave).

override tile: u32; // 1 or 4
override weight_bits: u32; // 32 (f32), 16 (f16) or 8 (int8)
override width: u32; // elements of x; the padding to vec4 is zero and adds nothing to the norm
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
  layer: u32, // of z = 0
  frame: u32,
}

// Of both matrices: (layers, ceil(hidden / 8), proj_vec4s, weight_bits / 8, 8), each layer padded to a multiple of 16 vec4s.
@group(0) @binding(0) var<storage, read> weight_ih: array<vec4u>; // W_ih
@group(0) @binding(1) var<storage, read> weight: array<vec4u>; // W_hh
// (layers, 1 + 3 * hidden): eps in the first element; then for each unit, a vec4 being i, f, g, o: the sum of both
// biases, the scales of W_ih, those of W_hh (int8 only).
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // (lanes, frames, proj_vec4s), before its norm
@group(0) @binding(4) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(5) var<storage, read> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(6) var<storage, read_write> c: array<f32>; // (slots, layers, hidden)
@group(0) @binding(7) var<storage, read_write> m: array<f32>; // (lanes, frames, hidden + 4): m; then n, and padding
@group(0) @binding(8) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;
const outputs = 8u;
const parts = 8u;
const threads = outputs * parts;
// A row's squares are summed as in basic_norm.wgsl, by so many.
const square_sums = 32u;

var<workgroup> squares: array<f32, 4 * square_sums>; // (tile, square_sums)
var<workgroup> sums: array<vec4f, 4 * parts * outputs>; // (tile, parts, outputs)

fn proj_vec4s() -> u32 {
  return (width + 3u) / 4u;
}

fn layer_start(layer: u32) -> u32 {
  return layer * ((((hidden + 7u) >> 3u) * proj_vec4s() * weight_bits + 15u) / 16u * 16u);
}

// Four inputs' weights for a unit's four gates, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its gate.
fn input_weights_at(start: u32, k: u32, unit: u32) -> mat4x4f {
  let w = start + ((unit >> 3u) * proj_vec4s() + k) * weight_bits + (unit & 7u);
  if (weight_bits == 32u) {
    return mat4x4f(
      bitcast<vec4f>(weight_ih[w]),
      bitcast<vec4f>(weight_ih[w + 8u]),
      bitcast<vec4f>(weight_ih[w + 16u]),
      bitcast<vec4f>(weight_ih[w + 24u])
    );
  }
  if (weight_bits == 16u) {
    return halves(weight_ih[w], weight_ih[w + 8u]);
  }
  return bytes(weight_ih[w]);
}

fn hidden_weights_at(start: u32, k: u32, unit: u32) -> mat4x4f {
  let w = start + ((unit >> 3u) * proj_vec4s() + k) * weight_bits + (unit & 7u);
  if (weight_bits == 32u) {
    return mat4x4f(
      bitcast<vec4f>(weight[w]),
      bitcast<vec4f>(weight[w + 8u]),
      bitcast<vec4f>(weight[w + 16u]),
      bitcast<vec4f>(weight[w + 24u])
    );
  }
  if (weight_bits == 16u) {
    return halves(weight[w], weight[w + 8u]);
  }
  return bytes(weight[w]);
}

fn halves(low: vec4u, high: vec4u) -> mat4x4f {
  return mat4x4f(
    vec4f(unpack2x16float(low.x), unpack2x16float(low.y)),
    vec4f(unpack2x16float(low.z), unpack2x16float(low.w)),
    vec4f(unpack2x16float(high.x), unpack2x16float(high.y)),
    vec4f(unpack2x16float(high.z), unpack2x16float(high.w))
  );
}

fn bytes(q: vec4u) -> mat4x4f {
  return mat4x4f(unpack4x8snorm(q.x), unpack4x8snorm(q.y), unpack4x8snorm(q.z), unpack4x8snorm(q.w));
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

// The same for the lanes of the tile, a column for each.
fn multiply_add_tile(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  if (tile == 1u) {
    return mat4x4f(multiply_add(w, x[0], sum[0]), vec4f(0.0), vec4f(0.0), vec4f(0.0));
  }
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(min(-x, 80.0)));
}

// WGSL allows its own tanh an error of 1e-5; this form is good to 2e-7 and cannot overflow.
fn tanh_exact(x: f32) -> f32 {
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}

// Lanes past the end repeat the last one and are not written.
fn x_row(lane: u32, frame: u32) -> u32 {
  return min(lane, step.lanes - 1u) * step.frames + frame;
}

fn h_start(lane: u32, layer: u32) -> u32 {
  return (lanes[min(lane, step.lanes - 1u)].slot * layers + layer) * proj_vec4s();
}

fn update(lane: u32, unit: u32, layer: u32, frame: u32, sum_x: vec4f, sum_h: vec4f, n: f32) {
  if (frame >= lanes[lane].frames) {
    return;
  }
  let vector = layer * (1u + 3u * hidden) + 1u + unit;
  var gates_x = vectors[vector] + sum_x;
  var gates = gates_x + sum_h;
  if (weight_bits == 8u) {
    gates_x = vectors[vector] + sum_x * vectors[vector + hidden];
    gates = gates_x + sum_h * vectors[vector + 2u * hidden];
  }
  let cell = (lanes[lane].slot * layers + layer) * hidden + unit;
  let kept = sigmoid(gates.y) * c[cell];
  let next = fma(sigmoid(gates.x), tanh_exact(gates.z), kept);
  c[cell] = next;
  let row = (lane * step.frames + frame) * (hidden + 4u);
  m[row + unit] = sigmoid(gates.w) * tanh_exact(next);
  if (unit == 0u) {
    m[row + hidden] = n;
  }
}

fn keep(place: u32, partial: mat4x4f) {
  sums[place] = partial[0];
  if (tile == 4u) {
    sums[place + parts * outputs] = partial[1];
    sums[place + 2u * parts * outputs] = partial[2];
    sums[place + 3u * parts * outputs] = partial[3];
  }
}

@compute @workgroup_size(8, 8)
fn lstm_cell_wave(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) index: u32
) {
  let layer = at.layer + group.z;
  let frame = at.frame - group.z;
  let unit = group.x * outputs + thread.x;
  let column = min(unit, hidden - 1u);
  let part = thread.y;
  let lane = group.y * tile;
  let place = part * outputs + thread.x;
  let vec4s = proj_vec4s();
  let start = layer_start(layer);

  for (var i = index; i < tile * square_sums; i += threads) {
    let row = x_row(lane + i / square_sums, frame) * vec4s;
    var sum = 0.0;
    for (var k = i % square_sums; k < vec4s; k += square_sums) {
      let v = x[row + k];
      sum += dot(v, v);
    }
    squares[i] = sum;
  }
  workgroupBarrier();
  for (var half = square_sums / 2u; half > 0u; half /= 2u) {
    for (var i = index; i < tile * half; i += threads) {
      let own = i / half * square_sums + i % half;
      squares[own] += squares[own + half];
    }
    workgroupBarrier();
  }
  let eps = vectors[layer * (1u + 3u * hidden)].x;
  var n = vec4f(inverseSqrt(squares[0] / f32(width) + eps));
  if (tile == 4u) {
    n.y = inverseSqrt(squares[square_sums] / f32(width) + eps);
    n.z = inverseSqrt(squares[2u * square_sums] / f32(width) + eps);
    n.w = inverseSqrt(squares[3u * square_sums] / f32(width) + eps);
  }

  let x_starts = vec4s * vec4u(
    x_row(lane, frame), x_row(lane + 1u, frame), x_row(lane + 2u, frame), x_row(lane + 3u, frame)
  );
  let h_starts = vec4u(
    h_start(lane, layer), h_start(lane + 1u, layer), h_start(lane + 2u, layer), h_start(lane + 3u, layer)
  );
  let blocks = (vec4s + block_vec4s - 1u) / block_vec4s;
  // Of the first threads along y, each adds up the sums of one lane.
  var total_x = vec4f(0.0);
  var total_h = vec4f(0.0);
  for (var first = 0u; first < blocks; first += parts) {
    let begin = (first + part) * block_vec4s;
    let end = min(begin + block_vec4s, vec4s);
    var partial = mat4x4f();
    for (var k = begin; k < end; k++) {
      var values = mat4x4f(x[x_starts.x + k] * n.x, vec4f(0.0), vec4f(0.0), vec4f(0.0));
      if (tile == 4u) {
        values[1] = x[x_starts.y + k] * n.y;
        values[2] = x[x_starts.z + k] * n.z;
        values[3] = x[x_starts.w + k] * n.w;
      }
      partial = multiply_add_tile(input_weights_at(start, k, column), values, partial);
    }
    keep(place, partial);
    workgroupBarrier();
    if (part < tile) {
      for (var p = 0u; p < min(parts, blocks - first); p++) {
        total_x += sums[(part * parts + p) * outputs + thread.x];
      }
    }
    workgroupBarrier();
    partial = mat4x4f();
    for (var k = begin; k < end; k++) {
      var values = mat4x4f(h[h_starts.x + k], vec4f(0.0), vec4f(0.0), vec4f(0.0));
      if (tile == 4u) {
        values[1] = h[h_starts.y + k];
        values[2] = h[h_starts.z + k];
        values[3] = h[h_starts.w + k];
      }
      partial = multiply_add_tile(hidden_weights_at(start, k, column), values, partial);
    }
    keep(place, partial);
    workgroupBarrier();
    if (part < tile) {
      for (var p = 0u; p < min(parts, blocks - first); p++) {
        total_h += sums[(part * parts + p) * outputs + thread.x];
      }
    }
    workgroupBarrier();
  }
  if (part < tile && lane + part < step.lanes && unit < hidden) {
    update(lane + part, unit, layer, frame, total_x, total_h, n[part]);
  }
}
