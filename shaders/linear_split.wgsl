// linear.wgsl for processors of many cores: a workgroup's threads share the sums over the inputs as well, so that a
// single row keeps the card busy. Each block of 64 inputs is summed by one thread, and the block sums are added in
// their order: the same operations in the same order as there, and so the same bytes.
//
// One workgroup: eight times four outputs of `tile` rows, in 8 parts of the inputs; neighbouring threads read
// neighbouring vec4s of the weight.
// Workgroups: (ceil(out_vec4s / 8), ceil(lanes * frames / tile), 1).

override tile: u32; // 1 or 4
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
const outputs = 8u;
const parts = 8u;

var<workgroup> sums: array<vec4f, 4 * parts * outputs>;

// Four inputs' weights for four outputs, a column for each input: as they are in f32, two inputs to a vec4 in
// f16, four in int8. int8 is relative to the scale of its output.
fn weights_at(k: u32, o: u32) -> mat4x4f {
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

fn row_start(row: u32) -> u32 {
  return row * in_vec4s;
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

// Four rows, or one, over one block of inputs: into `sums`, (tile, parts, outputs).
fn sum_block(row: u32, o: u32, column: u32, part: u32, index: u32) {
  let start = index * block_vec4s;
  let end = min(start + block_vec4s, in_vec4s);
  let place = part * outputs + column;
  let x0 = row_start(row);
  var s0 = vec4f(0.0);
  if (tile == 1u) {
    for (var k = start; k < end; k++) {
      s0 = multiply_add(weights_at(k, o), x[x0 + k], s0);
    }
    sums[place] = s0;
    return;
  }
  // Rows past the end repeat the last one and are not written.
  let last = step.lanes * step.frames - 1u;
  let x1 = row_start(min(row + 1u, last));
  let x2 = row_start(min(row + 2u, last));
  let x3 = row_start(min(row + 3u, last));
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var k = start; k < end; k++) {
    let w = weights_at(k, o);
    s0 = multiply_add(w, x[x0 + k], s0);
    s1 = multiply_add(w, x[x1 + k], s1);
    s2 = multiply_add(w, x[x2 + k], s2);
    s3 = multiply_add(w, x[x3 + k], s3);
  }
  sums[place] = s0;
  sums[place + parts * outputs] = s1;
  sums[place + 2u * parts * outputs] = s2;
  sums[place + 3u * parts * outputs] = s3;
}

@compute @workgroup_size(8, 8)
fn linear_split(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let o = group.x * outputs + thread.x;
  let part = thread.y;
  let row = group.y * tile;
  let blocks = (in_vec4s + block_vec4s - 1u) / block_vec4s;
  // Of the first threads along y, each adds up the sums of one row.
  var total = vec4f(0.0);
  for (var first = 0u; first < blocks; first += parts) {
    if (first + part < blocks) {
      sum_block(row, min(o, out_vec4s - 1u), thread.x, part, first + part);
    }
    workgroupBarrier();
    if (part < tile) {
      for (var p = 0u; p < min(parts, blocks - first); p++) {
        total += sums[(part * parts + p) * outputs + thread.x];
      }
    }
    workgroupBarrier();
  }
  if (part < tile && row + part < step.lanes * step.frames && o < out_vec4s) {
    store(row + part, o, total);
  }
}
