// Linear layer over all frames of a step: y = W x + b, or y += W x + b, with an optional DoubleSwish.
//
// Serves encoder_embed.out, the input half of the LSTM gates, both feed-forward layers (the second one
// accumulates into the residual) and the CTC head. The weight lies in columns of eight vec4s of outputs: for each
// input, neighbouring threads read neighbouring vec4s, and input follows upon input, so that memory is read in order.
// Inputs and outputs are padded to vec4 with zero weights, so padding lanes stay zero from layer to layer. Weights
// may be packed; what is summed is f32 whatever they are.
//
// One thread: four outputs of `tile` rows (a row is one frame of one lane): of four or sixteen, so that a weight is loaded
// once for them, or of one. Every output is summed in the same order, with the same fma, whatever the tile: its bits do
// not depend on its neighbours.
// Workgroups: (ceil(out_vec4s / 32), ceil(lanes * frames / tile), 1).

override tile: u32; // 1, 4 or 16
override weight_bits: u32; // 32 (f32), 16 (f16) or 8 (int8)
override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override double_swish: bool;
override accumulate: bool;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> weight: array<vec4u>; // (ceil(out_vec4s / 8), in_vec4s, weight_bits / 8, 8)
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (out_vec4s), int8 only
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // (lanes * frames, in_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes * frames, out_vec4s)
@group(0) @binding(5) var<uniform> step: Step;

// Inputs are summed in blocks of 64, block sums then one after the other: over the 2304 inputs of the
// embedding a single running sum would lose a digit.
const block_vec4s = 16u;

// Four inputs' weights for four outputs, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its output.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  // Four inputs of a column of eight are weight_bits / 8 parts of eight vec4s.
  let w = ((o >> 3u) * in_vec4s + k) * weight_bits + (o & 7u);
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

fn scaled(sum: vec4f, o: u32) -> vec4f {
  if (weight_bits == 8u) {
    return sum * scale[o];
  }
  return sum;
}

fn multiply_add(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(x.w), w[3], fma(vec4f(x.z), w[2], fma(vec4f(x.y), w[1], fma(vec4f(x.x), w[0], sum))));
}

fn store(row: u32, o: u32, sum: vec4f) {
  var value = bias[o] + scaled(sum, o);
  if (double_swish) {
    value = value / (1.0 + exp(min(1.0 - value, vec4f(80.0))));
  }
  if (accumulate) {
    value += y[row * out_vec4s + o];
  }
  y[row * out_vec4s + o] = value;
}

fn one_row(row: u32, o: u32) {
  let x0 = row * in_vec4s;
  var y0 = vec4f(0.0);
  for (var start = 0u; start < in_vec4s; start += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = start; k < min(start + block_vec4s, in_vec4s); k++) {
      s0 = multiply_add(weights_at(k, o), x[x0 + k], s0);
    }
    y0 += s0;
  }
  store(row, o, y0);
}

// Four rows, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// Where four rows start in x; rows past the end repeat the last one and are not written.
fn four_starts(row: u32, rows: u32) -> vec4u {
  return min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(rows - 1u)) * in_vec4s;
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
}

fn store_four(row: u32, o: u32, rows: u32, sums: mat4x4f) {
  if (row < rows) {
    store(row, o, sums[0]);
  }
  if (row + 1u < rows) {
    store(row + 1u, o, sums[1]);
  }
  if (row + 2u < rows) {
    store(row + 2u, o, sums[2]);
  }
  if (row + 3u < rows) {
    store(row + 3u, o, sums[3]);
  }
}

fn four_rows(row: u32, o: u32, rows: u32) {
  let starts = four_starts(row, rows);
  var sums = mat4x4f();
  for (var start = 0u; start < in_vec4s; start += block_vec4s) {
    var s = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, in_vec4s); k++) {
      s = multiply_add_four(weights_at(k, o), four_at(starts, k), s);
    }
    sums = sums + s;
  }
  store_four(row, o, rows, sums);
}

fn sixteen_rows(row: u32, o: u32, rows: u32) {
  let starts_a = four_starts(row, rows);
  let starts_b = four_starts(row + 4u, rows);
  let starts_c = four_starts(row + 8u, rows);
  let starts_d = four_starts(row + 12u, rows);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var start = 0u; start < in_vec4s; start += block_vec4s) {
    var a = mat4x4f();
    var b = mat4x4f();
    var c = mat4x4f();
    var d = mat4x4f();
    for (var k = start; k < min(start + block_vec4s, in_vec4s); k++) {
      let w = weights_at(k, o);
      a = multiply_add_four(w, four_at(starts_a, k), a);
      b = multiply_add_four(w, four_at(starts_b, k), b);
      c = multiply_add_four(w, four_at(starts_c, k), c);
      d = multiply_add_four(w, four_at(starts_d, k), d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(row, o, rows, ya);
  store_four(row + 4u, o, rows, yb);
  store_four(row + 8u, o, rows, yc);
  store_four(row + 12u, o, rows, yd);
}

@compute @workgroup_size(32)
fn linear(@builtin(global_invocation_id) id: vec3u) {
  let rows = step.lanes * step.frames;
  let o = id.x;
  let row = id.y * tile;
  if (o >= out_vec4s || row >= rows) {
    return;
  }
  if (tile == 16u) {
    sixteen_rows(row, o, rows);
  } else if (tile == 4u) {
    four_rows(row, o, rows);
  } else {
    one_row(row, o);
  }
}
