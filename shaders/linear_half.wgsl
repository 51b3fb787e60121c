// linear.wgsl in f16 arithmetic, for f16 weights on adapters that have it: products and sums of 16 inputs are f16, those
// sums are added in f32, and so is all that follows. The bytes differ from those of linear.wgsl, in the third or fourth
// digit; they do not depend on the tile either.
//
// One thread: four outputs of `tile` rows, of four or of one.
// Workgroups: (ceil(out_vec4s / 32), ceil(lanes * frames / tile), 1). Needs the feature `shader-f16`.
enable f16;

override tile: u32; // 1 or 4
override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override double_swish: bool;
override accumulate: bool;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> weight: array<mat2x4<f16>>; // (ceil(out_vec4s / 8), in_vec4s, 2, 8), two inputs each
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (lanes * frames, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (lanes * frames, out_vec4s)
@group(0) @binding(4) var<uniform> step: Step;

// vec4s of inputs that are summed in f16.
const run_vec4s = 4u;
const largest = 65504.0;

// An input beyond the range of f16 becomes its largest number. Sums beyond it are infinite, as f16 has it.
fn to_half(value: vec4f) -> vec4<f16> {
  return vec4<f16>(clamp(value, vec4f(-largest), vec4f(largest)));
}

fn multiply_add(low: mat2x4<f16>, high: mat2x4<f16>, value: vec4<f16>, sum: vec4<f16>) -> vec4<f16> {
  let first = fma(vec4<f16>(value.y), low[1], fma(vec4<f16>(value.x), low[0], sum));
  return fma(vec4<f16>(value.w), high[1], fma(vec4<f16>(value.z), high[0], first));
}

fn store(row: u32, o: u32, sum: vec4f) {
  var value = bias[o] + sum;
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
  for (var start = 0u; start < in_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, in_vec4s); k++) {
      let w = ((o >> 3u) * in_vec4s + k) * 16u + (o & 7u);
      s0 = multiply_add(weight[w], weight[w + 8u], to_half(x[x0 + k]), s0);
    }
    y0 += vec4f(s0);
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
  var y0 = vec4f(0.0);
  var y1 = vec4f(0.0);
  var y2 = vec4f(0.0);
  var y3 = vec4f(0.0);
  for (var start = 0u; start < in_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    var s1 = vec4<f16>();
    var s2 = vec4<f16>();
    var s3 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, in_vec4s); k++) {
      let w = ((o >> 3u) * in_vec4s + k) * 16u + (o & 7u);
      let low = weight[w];
      let high = weight[w + 8u];
      s0 = multiply_add(low, high, to_half(x[x0 + k]), s0);
      s1 = multiply_add(low, high, to_half(x[x1 + k]), s1);
      s2 = multiply_add(low, high, to_half(x[x2 + k]), s2);
      s3 = multiply_add(low, high, to_half(x[x3 + k]), s3);
    }
    y0 += vec4f(s0);
    y1 += vec4f(s1);
    y2 += vec4f(s2);
    y3 += vec4f(s3);
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
fn linear_half(@builtin(global_invocation_id) id: vec3u) {
  let rows = step.lanes * step.frames;
  let o = id.x;
  let row = id.y * tile;
  if (o >= out_vec4s || row >= rows) {
    return;
  }
  if (tile == 4u) {
    four_rows(row, o, rows);
  } else {
    one_row(row, o);
  }
}
