// linear.wgsl with the weights in a texture, four outputs to a texel, and the inputs shared among the four invocations
// of a quad: the same operations in the same order, and so the same bytes. On SwiftShader a texel takes a fraction of
// the time of four loads from a buffer, and a vec4 loaded once for four invocations a quarter. The texture's format
// unpacks the weights (rgba32float, rgba16float, rgba8snorm).
//
// One thread: four outputs of `tile` rows, of one, four or sixteen, of which all threads of a workgroup have the same.
// Inputs are padded to sixteen with zero weights.
// Workgroups: (ceil(out_vec4s / 8), ceil(lanes * frames / tile), 1). Needs the feature `subgroups`.
enable subgroups;

override tile: u32; // 1, 4 or 16
override int8: bool; // relative to the scale of its output
override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override double_swish: bool;
override accumulate: bool;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var weight: texture_2d<f32>; // (inputs rounded up to 16, out_vec4s)
@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (out_vec4s), int8 only
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(3) var<storage, read> x: array<vec4f>; // (lanes * frames, in_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes * frames, out_vec4s)
@group(0) @binding(5) var<uniform> step: Step;

// Inputs are summed in blocks of 64, block sums then one after the other, as in linear.wgsl.
const block_vec4s = 16u;

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

// Four inputs' weights for four outputs, a column for each input.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  return mat4x4f(
    textureLoad(weight, vec2u(o, 4u * k), 0),
    textureLoad(weight, vec2u(o, 4u * k + 1u), 0),
    textureLoad(weight, vec2u(o, 4u * k + 2u), 0),
    textureLoad(weight, vec2u(o, 4u * k + 3u), 0)
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

// What one invocation of the quad has loaded of four rows.
fn from_first(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 0u), quadBroadcast(x[1], 0u), quadBroadcast(x[2], 0u), quadBroadcast(x[3], 0u));
}

fn from_second(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 1u), quadBroadcast(x[1], 1u), quadBroadcast(x[2], 1u), quadBroadcast(x[3], 1u));
}

fn from_third(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 2u), quadBroadcast(x[1], 2u), quadBroadcast(x[2], 2u), quadBroadcast(x[3], 2u));
}

fn from_fourth(x: mat4x4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(x[0], 3u), quadBroadcast(x[1], 3u), quadBroadcast(x[2], 3u), quadBroadcast(x[3], 3u));
}

fn four_at(starts: vec4u, k: u32) -> mat4x4f {
  return mat4x4f(x[starts.x + k], x[starts.y + k], x[starts.z + k], x[starts.w + k]);
}

// Where four rows start in x; rows past the end repeat the last one and are not written.
fn four_starts(row: u32) -> vec4u {
  return vec4u(row_start(row), row_start(row + 1u), row_start(row + 2u), row_start(row + 3u));
}

fn one_row(row: u32, o: u32, quad_lane: u32) {
  let x0 = row_start(row);
  var y0 = vec4f(0.0);
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var s0 = vec4f(0.0);
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k += 4u) {
      let own = x[x0 + min(k + quad_lane, in_vec4s - 1u)];
      s0 = multiply_add(weights_at(k, o), quadBroadcast(own, 0u), s0);
      s0 = multiply_add(weights_at(k + 1u, o), quadBroadcast(own, 1u), s0);
      s0 = multiply_add(weights_at(k + 2u, o), quadBroadcast(own, 2u), s0);
      s0 = multiply_add(weights_at(k + 3u, o), quadBroadcast(own, 3u), s0);
    }
    y0 += s0;
  }
  store(row, o, y0);
}

fn four_rows(row: u32, o: u32, quad_lane: u32) {
  let starts = four_starts(row);
  var sums = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var s = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k += 4u) {
      let own = four_at(starts, min(k + quad_lane, in_vec4s - 1u));
      s = multiply_add_four(weights_at(k, o), from_first(own), s);
      s = multiply_add_four(weights_at(k + 1u, o), from_second(own), s);
      s = multiply_add_four(weights_at(k + 2u, o), from_third(own), s);
      s = multiply_add_four(weights_at(k + 3u, o), from_fourth(own), s);
    }
    sums = sums + s;
  }
  store_four(row, o, sums);
}

fn sixteen_rows(row: u32, o: u32, quad_lane: u32) {
  let starts_a = four_starts(row);
  let starts_b = four_starts(row + 4u);
  let starts_c = four_starts(row + 8u);
  let starts_d = four_starts(row + 12u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var a = mat4x4f();
    var b = mat4x4f();
    var c = mat4x4f();
    var d = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k += 4u) {
      let own = min(k + quad_lane, in_vec4s - 1u);
      let own_a = four_at(starts_a, own);
      let own_b = four_at(starts_b, own);
      let own_c = four_at(starts_c, own);
      let own_d = four_at(starts_d, own);
      let w0 = weights_at(k, o);
      a = multiply_add_four(w0, from_first(own_a), a);
      b = multiply_add_four(w0, from_first(own_b), b);
      c = multiply_add_four(w0, from_first(own_c), c);
      d = multiply_add_four(w0, from_first(own_d), d);
      let w1 = weights_at(k + 1u, o);
      a = multiply_add_four(w1, from_second(own_a), a);
      b = multiply_add_four(w1, from_second(own_b), b);
      c = multiply_add_four(w1, from_second(own_c), c);
      d = multiply_add_four(w1, from_second(own_d), d);
      let w2 = weights_at(k + 2u, o);
      a = multiply_add_four(w2, from_third(own_a), a);
      b = multiply_add_four(w2, from_third(own_b), b);
      c = multiply_add_four(w2, from_third(own_c), c);
      d = multiply_add_four(w2, from_third(own_d), d);
      let w3 = weights_at(k + 3u, o);
      a = multiply_add_four(w3, from_fourth(own_a), a);
      b = multiply_add_four(w3, from_fourth(own_b), b);
      c = multiply_add_four(w3, from_fourth(own_c), c);
      d = multiply_add_four(w3, from_fourth(own_d), d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(row, o, ya);
  store_four(row + 4u, o, yb);
  store_four(row + 8u, o, yc);
  store_four(row + 12u, o, yd);
}

fn store_four(row: u32, o: u32, sums: mat4x4f) {
  for (var r = 0u; r < 4u; r++) {
    store(row + r, o, sums[r]);
  }
}

@compute @workgroup_size(8)
fn linear_texels(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  // No thread leaves early: the quads load together.
  let o = group.x * 8u + thread.x;
  let quad_lane = subgroup_lane % 4u;
  let row = group.y * tile;
  if (tile == 16u) {
    sixteen_rows(row, o, quad_lane);
  } else if (tile == 4u) {
    four_rows(row, o, quad_lane);
  } else {
    one_row(row, o, quad_lane);
  }
}
