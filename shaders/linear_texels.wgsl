// linear.wgsl with the weights in a texture, four outputs to a texel: the same operations in the same order, and so the
// same bytes. The texture's format unpacks the weights (rgba32float, rgba16float, rgba8snorm).
//
// For software adapters: there a sampled texel takes half to a third of the time of a vec4 from a buffer (on SwiftShader also
// half that of textureLoad, which asks for the texture's size each time); loops longer than the processor's instruction cache
// are slow, hence few inputs a turn; and the weights of a thread's neighbours lie next to its own, in memory as well.
//
// One thread: eight outputs, two texels, of `tile` rows, of one, four or eight.
// Workgroups: (ceil(out_vec4s / 16), ceil(lanes * frames / tile), 1).

override tile: u32; // 1, 4 or 8
override int8: bool; // relative to the scale of its output
override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override double_swish: bool;
override accumulate: bool;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

// (ceil(out_vec4s / 8), ceil(in_vec4s / 16)) rows of (64, 8) texels: inputs, vec4s of outputs
@group(0) @binding(0) var weight: texture_2d<f32>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (out_vec4s), int8 only
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // (lanes * frames, in_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes * frames, out_vec4s)
@group(0) @binding(5) var<uniform> step: Step;
@group(0) @binding(6) var nearest: sampler;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;

// Of a workgroup. A thread has its own texel of a row of weights and the one so many further on.
const threads = 8u;

fn row_start(row: u32) -> u32 {
  return min(row, step.lanes * step.frames - 1u) * in_vec4s;
}

fn scaled(sum: vec4f, o: u32) -> vec4f {
  if (int8) {
    return sum * scale[o];
  }
  return sum;
}

fn store(row: u32, o: u32, sum: vec4f) {
  if (row >= step.lanes * step.frames || o >= out_vec4s) {
    return;
  }
  var value = bias[o] + scaled(sum, o);
  if (double_swish) {
    value = value / (1.0 + exp(min(1.0 - value, vec4f(80.0))));
  }
  if (accumulate) {
    value += y[row * out_vec4s + o];
  }
  y[row * out_vec4s + o] = value;
}

// In int8 by way of the byte itself: samplers may round its fraction otherwise than unpack4x8snorm does.
fn texel(at: vec2f) -> vec4f {
  let texel_weights = textureSampleLevel(weight, nearest, at, 0.0);
  if (int8) {
    return unpack4x8snorm(pack4x8snorm(texel_weights));
  }
  return texel_weights;
}

// Four inputs' weights for four outputs, a column for each input: texels, asked for by their middles. Shifts, since
// SwiftShader divides integers one by one.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  let blocks = (in_vec4s + 15u) >> 4u;
  let rows = ((out_vec4s + 7u) >> 3u) * blocks;
  let across = (f32(((k & 15u) << 5u) + (o & 7u)) + vec4f(0.5, 8.5, 16.5, 24.5)) / 512.0;
  let down = (f32((o >> 3u) * blocks + (k >> 4u)) + 0.5) / f32(rows);
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

// The same for four rows, a column for each.
fn multiply_add_four(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, x[0], sum[0]),
    multiply_add(w, x[1], sum[1]),
    multiply_add(w, x[2], sum[2]),
    multiply_add(w, x[3], sum[3])
  );
}

// Four inputs of each of four rows.
fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
}

// Where four rows start in x; rows past the end repeat the last one and are not written.
fn four_starts(row: u32) -> vec4u {
  return vec4u(row_start(row), row_start(row + 1u), row_start(row + 2u), row_start(row + 3u));
}

fn one_row(row: u32, o: u32) {
  let start = row_start(row);
  var ya = vec4f(0.0);
  var yb = vec4f(0.0);
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var a = vec4f(0.0);
    var b = vec4f(0.0);
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let own = x[start + k];
      a = multiply_add(weights_at(k, o), own, a);
      b = multiply_add(weights_at(k, o + threads), own, b);
    }
    ya += a;
    yb += b;
  }
  store(row, o, ya);
  store(row, o + threads, yb);
}

fn four_rows(row: u32, o: u32) {
  let starts = four_starts(row);
  var ya = mat4x4f();
  var yb = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var a = mat4x4f();
    var b = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let rows = four_at(starts, k);
      a = multiply_add_four(weights_at(k, o), rows, a);
      b = multiply_add_four(weights_at(k, o + threads), rows, b);
    }
    ya = ya + a;
    yb = yb + b;
  }
  store_four(row, o, ya);
  store_four(row, o + threads, yb);
}

fn eight_rows(row: u32, o: u32) {
  let starts_a = four_starts(row);
  let starts_c = four_starts(row + 4u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var a = mat4x4f();
    var b = mat4x4f();
    var c = mat4x4f();
    var d = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let rows_a = four_at(starts_a, k);
      let rows_c = four_at(starts_c, k);
      let wa = weights_at(k, o);
      a = multiply_add_four(wa, rows_a, a);
      c = multiply_add_four(wa, rows_c, c);
      let wb = weights_at(k, o + threads);
      b = multiply_add_four(wb, rows_a, b);
      d = multiply_add_four(wb, rows_c, d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(row, o, ya);
  store_four(row, o + threads, yb);
  store_four(row + 4u, o, yc);
  store_four(row + 4u, o + threads, yd);
}

fn store_four(row: u32, o: u32, sums: mat4x4f) {
  store(row, o, sums[0]);
  store(row + 1u, o, sums[1]);
  store(row + 2u, o, sums[2]);
  store(row + 3u, o, sums[3]);
}

@compute @workgroup_size(8)
fn linear_texels(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let o = group.x * 2u * threads + thread.x;
  let row = group.y * tile;
  if (tile == 8u) {
    eight_rows(row, o);
  } else if (tile == 4u) {
    four_rows(row, o);
  } else {
    one_row(row, o);
  }
}
