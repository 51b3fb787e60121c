// One frame of the LSTM cell in several layers at a time (wave.wgsl), with what comes before it:
//
//   n = (mean(x[t]^2) + eps) ^ (-1/2)        the norm that ends the layer before (or the embedding)
//   (i, f, g, o) = W_ih (n x[t]) + b_ih + b_hh + W_hh h
//   c, m                                     lstm_gates.wgsl
//
// What basic_norm, linear and lstm_cell do in three dispatches for each layer, in one for all layers of the wave, and each
// operation in the same order: the same bytes. n is left behind m for lstm_projection_wave.
//
// Two products by the sums of sums_split.wgsl: a row is a lane, an output is a unit's four gates.
// Workgroups: (ceil(out_vec4s / 8), ceil(lanes / tile), layers of the wave).

override width: u32; // elements of x; the padding to vec4 is zero and adds nothing to the norm
override in_vec4s: u32; // ceil(width / 4)
override out_vec4s: u32; // units, padded to a multiple of 4; padding units stay zero

@group(0) @binding(0) var<storage, read> weight: array<vec4u>; // W_hh, as matrix_in_buffer.wgsl has matrices
@group(0) @binding(1) var<storage, read> weight_ih: array<vec4u>; // W_ih
// (layers, 1 + 3 * out_vec4s): eps in the first element; then for each unit, a vec4 being i, f, g, o: the sum of both
// biases, the scales of W_ih, those of W_hh (int8 only).
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // (lanes, frames, in_vec4s), before its norm
@group(0) @binding(4) var<storage, read> h: array<vec4f>; // (slots, layers, in_vec4s)
@group(0) @binding(6) var<storage, read_write> m: array<f32>; // (lanes, frames, out_vec4s + 4): m; then n, and padding

const threads = 64u; // of a workgroup
// A row's squares are summed as in basic_norm.wgsl, by so many.
const square_sums = 32u;

var<workgroup> squares: array<f32, 4 * square_sums>; // (tile, square_sums)

// n of the tile's lanes.
var<private> factors: vec4f;
// Whether the product is that of W_hh and h.
var<private> is_recurrent: bool;

fn packed_at(place: u32) -> vec4u {
  if (is_recurrent) {
    return weight[place];
  }
  return weight_ih[place];
}

// Lanes past the end repeat the last one and are not written.
fn start_of(lane: u32) -> u32 {
  let kept = min(lane, rows() - 1u);
  return in_vec4s * select(element_row(kept), state_row(kept), is_recurrent);
}

fn inputs_at(start: u32, place: u32) -> vec4f {
  if (is_recurrent) {
    return h[start + place];
  }
  return factors.x * x[start + place];
}

fn four_at(starts: vec4u, place: u32) -> mat4x4f {
  let p = starts + place;
  if (is_recurrent) {
    return mat4x4f(h[p.x], h[p.y], h[p.z], h[p.w]);
  }
  return mat4x4f(factors.x * x[p.x], factors.y * x[p.y], factors.z * x[p.z], factors.w * x[p.w]);
}

fn sum_squares(first_lane: u32, index: u32) {
  for (var i = index; i < tile * square_sums; i += threads) {
    let start = start_of(first_lane + i / square_sums);
    var sum = 0.0;
    for (var k = i % square_sums; k < in_vec4s; k += square_sums) {
      let v = x[start + k];
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
}

fn factor(row: u32) -> f32 {
  let eps = vectors[layer() * (1u + 3u * out_vec4s)].x;
  return inverseSqrt(squares[row * square_sums] / f32(width) + eps);
}

fn store(lane: u32, unit: u32, sum_x: vec4f, sum_h: vec4f, n: f32) {
  if (!has_frame(lane)) {
    return;
  }
  let vector = layer() * (1u + 3u * out_vec4s) + 1u + unit;
  var gates = vectors[vector] + sum_x + sum_h;
  if (is_relative()) {
    gates = vectors[vector] + sum_x * vectors[vector + out_vec4s] + sum_h * vectors[vector + 2u * out_vec4s];
  }
  m[element_row(lane) * (out_vec4s + 4u) + unit] = cell_output(lane, unit, gates);
  if (unit == 0u) {
    m[element_row(lane) * (out_vec4s + 4u) + out_vec4s] = n;
  }
}

@compute @workgroup_size(8, 8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) index: u32
) {
  enter(group.z);
  let unit = group.x * outputs + thread.x;
  let column = min(unit, out_vec4s - 1u);
  let top = group.y * tile;

  is_recurrent = false;
  sum_squares(top, index);
  factors = vec4f(factor(0u));
  if (tile == 4u) {
    factors = vec4f(factor(0u), factor(1u), factor(2u), factor(3u));
  }
  let sum_x = sums_of_tile(top, column, thread.x, thread.y);
  is_recurrent = true;
  let sum_h = sums_of_tile(top, column, thread.x, thread.y);

  let lane = top + thread.y;
  if (thread.y < tile && lane < rows() && unit < out_vec4s) {
    store(lane, unit, sum_x, sum_h, factors[thread.y]);
  }
}
