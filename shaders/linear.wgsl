// Linear layer over all frames of a step: y = W x + b, or y += W x + b, with an optional DoubleSwish.
//
// Serves encoder_embed.out, the input half of the LSTM gates, both feed-forward layers (the second one
// accumulates into the residual) and the CTC head. The weight is column-major: for each input, the four
// outputs of a thread lie together and neighbouring threads read neighbouring vec4s. Inputs and outputs
// are padded to vec4 with zero weights, so padding lanes stay zero from layer to layer.
//
// One thread: four outputs of four rows (a row is one frame of one lane), so that a weight is loaded once
// for four rows; a tile of a single row takes the short path. Every output is summed in the same order,
// with the same fma, on both paths: its bits do not depend on its neighbours.
// Workgroups: (ceil(out_vec4s / 32), ceil(lanes * frames / 4), 1).

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override double_swish: bool;
override accumulate: bool;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * in_vec4s, out_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (lanes * frames, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (lanes * frames, out_vec4s)
@group(0) @binding(4) var<uniform> step: Step;

// Inputs are summed in blocks of 64, block sums then one after the other: over the 2304 inputs of the
// embedding a single running sum would lose a digit.
const block_vec4s = 16u;

fn store(row: u32, o: u32, sum: vec4f) {
  var value = sum;
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
  var y0 = bias[o];
  var w = o;
  for (var start = 0u; start < in_vec4s; start += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = start; k < min(start + block_vec4s, in_vec4s); k++) {
      let v0 = x[x0 + k];
      s0 = fma(vec4f(v0.x), weight[w], s0);
      s0 = fma(vec4f(v0.y), weight[w + out_vec4s], s0);
      s0 = fma(vec4f(v0.z), weight[w + 2u * out_vec4s], s0);
      s0 = fma(vec4f(v0.w), weight[w + 3u * out_vec4s], s0);
      w += 4u * out_vec4s;
    }
    y0 += s0;
  }
  store(row, o, y0);
}

fn four_rows(row: u32, o: u32, rows: u32) {
  // Rows past the end repeat the last one and are not written.
  let last = rows - 1u;
  let x0 = row * in_vec4s;
  let x1 = min(row + 1u, last) * in_vec4s;
  let x2 = min(row + 2u, last) * in_vec4s;
  let x3 = min(row + 3u, last) * in_vec4s;
  var y0 = bias[o];
  var y1 = y0;
  var y2 = y0;
  var y3 = y0;
  var w = o;
  for (var start = 0u; start < in_vec4s; start += block_vec4s) {
    var s0 = vec4f(0.0);
    var s1 = vec4f(0.0);
    var s2 = vec4f(0.0);
    var s3 = vec4f(0.0);
    for (var k = start; k < min(start + block_vec4s, in_vec4s); k++) {
      let w0 = weight[w];
      let w1 = weight[w + out_vec4s];
      let w2 = weight[w + 2u * out_vec4s];
      let w3 = weight[w + 3u * out_vec4s];
      w += 4u * out_vec4s;
      let v0 = x[x0 + k];
      s0 = fma(vec4f(v0.w), w3, fma(vec4f(v0.z), w2, fma(vec4f(v0.y), w1, fma(vec4f(v0.x), w0, s0))));
      let v1 = x[x1 + k];
      s1 = fma(vec4f(v1.w), w3, fma(vec4f(v1.z), w2, fma(vec4f(v1.y), w1, fma(vec4f(v1.x), w0, s1))));
      let v2 = x[x2 + k];
      s2 = fma(vec4f(v2.w), w3, fma(vec4f(v2.z), w2, fma(vec4f(v2.y), w1, fma(vec4f(v2.x), w0, s2))));
      let v3 = x[x3 + k];
      s3 = fma(vec4f(v3.w), w3, fma(vec4f(v3.z), w2, fma(vec4f(v3.y), w1, fma(vec4f(v3.x), w0, s3))));
    }
    y0 += s0;
    y1 += s1;
    y2 += s2;
    y3 += s3;
  }
  store(row, o, y0);
  if (row + 1u < rows) {
    store(row + 1u, o, y1);
  }
  if (row + 2u < rows) {
    store(row + 2u, o, y2);
  }
  if (row + 3u < rows) {
    store(row + 3u, o, y3);
  }
}

@compute @workgroup_size(32)
fn linear(@builtin(global_invocation_id) id: vec3u) {
  let rows = step.lanes * step.frames;
  let o = id.x;
  let row = id.y * 4u;
  if (o >= out_vec4s || row >= rows) {
    return;
  }
  if (row + 1u == rows) {
    one_row(row, o);
  } else {
    four_rows(row, o, rows);
  }
}
