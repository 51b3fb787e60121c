// Gradient of a matrix: dW += dy^T x, summed over all rows of a batch. Of a recurrence x is the frame before.
//
// A thread: `tile` times four outputs, and `tile` vec4s of inputs, `threads` apart. Workgroups: (ceil(in_vec4s / (threads *
// tile)), ceil(out_vec4s / tile), 1). Sums in blocks of 64 rows, block sums one after the other; rows beyond the utterances'
// ends add zeros at the end, so that padding changes nothing. The same order, and so the same bytes, whatever the tile.
//
// Needs inputs_at, threads, rows, Stored, unstored.

override tile: u32; // 1 or 2

// Of one of the network's matrices, as product_sizes.wgsl has them.
struct Sizes {
  in_vec4s: u32, // ceil(inputs / 4)
  out_vec4s: u32, // ceil(outputs / 4)
  is_delayed: u32,
}

@group(0) @binding(10) var<uniform> sizes: Sizes;

var<private> in_vec4s: u32;
var<private> out_vec4s: u32;

@group(0) @binding(0) var<storage, read> dy: array<Input>; // (rows, out_vec4s)
@group(0) @binding(1) var<storage, read> x: array<Stored>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>; // (4 * out_vec4s, in_vec4s)

const block_rows = 64u;
const turn_rows = 4u;

fn row_start(row: u32) -> u32 {
  return row * out_vec4s;
}

fn load(place: u32) -> Input {
  return dy[place];
}

// Four outputs by four inputs, a column for each output.
fn outer(d: vec4f, v: vec4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(sum[0] + d.x * v, sum[1] + d.y * v, sum[2] + d.z * v, sum[3] + d.w * v);
}

// Of four rows, one after the other. Where loops are slow, longer turns are faster.
fn outer_four(d: mat4x4f, v: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return outer(d[3], v[3], outer(d[2], v[2], outer(d[1], v[1], outer(d[0], v[0], sum))));
}

// Four rows from one on: those past the end repeat the last one that counts.
fn four_from(row: u32) -> vec4u {
  return min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows() - 1u));
}

// Rows past the end add nothing.
fn gradient_in(lane: u32, place: u32, row: u32) -> vec4f {
  return select(vec4f(0.0), inputs_at(lane, place), row < rows());
}

// Of four rows that start there, from `row` on.
fn four_gradients(lane: u32, starts: vec4u, row: u32, o: u32) -> mat4x4f {
  return mat4x4f(
    gradient_in(lane, starts.x + o, row),
    gradient_in(lane, starts.y + o, row + 1u),
    gradient_in(lane, starts.z + o, row + 2u),
    gradient_in(lane, starts.w + o, row + 3u)
  );
}

fn four_values(starts: vec4u, i: u32) -> mat4x4f {
  return mat4x4f(
    unstored(x[starts.x + i]),
    unstored(x[starts.y + i]),
    unstored(x[starts.z + i]),
    unstored(x[starts.w + i])
  );
}

// In loops, here and where it is called: loads and stores are much code, which takes its time to compile.
fn add_to(o: u32, i: u32, total: mat4x4f) {
  if (o < out_vec4s && i < in_vec4s) {
    for (var k = 0u; k < 4u; k++) {
      gradient[(4u * o + k) * in_vec4s + i] += total[k];
    }
  }
}

fn one_by_one(o: u32, i: u32, delay: u32, lane: u32) {
  let own = min(i, in_vec4s - 1u);
  var total = mat4x4f();
  for (var first = delay; first < rows(); first += block_rows) {
    var sum = mat4x4f();
    for (var row = first; row < min(first + block_rows, rows()); row++) {
      sum = outer(inputs_at(lane, row * out_vec4s + o), unstored(x[(row - delay) * in_vec4s + own]), sum);
    }
    total = total + sum;
  }
  add_to(o, i, total);
}

fn two_by_two(o: u32, i: u32, delay: u32, lane: u32) {
  // Those past an end repeat the last one, and are not added.
  let o2 = min(o + 1u, out_vec4s - 1u);
  let i1 = min(i, in_vec4s - 1u);
  let i2 = min(i + threads, in_vec4s - 1u);
  var total_a = mat4x4f();
  var total_b = mat4x4f();
  var total_c = mat4x4f();
  var total_d = mat4x4f();
  for (var first = delay; first < rows(); first += block_rows) {
    var sum_a = mat4x4f();
    var sum_b = mat4x4f();
    var sum_c = mat4x4f();
    var sum_d = mat4x4f();
    for (var row = first; row < min(first + block_rows, rows()); row += turn_rows) {
      let four = four_from(row);
      let d_starts = four * out_vec4s;
      let v_starts = (four - delay) * in_vec4s;
      let d1 = four_gradients(lane, d_starts, row, o);
      let d2 = four_gradients(lane, d_starts, row, o2);
      let v1 = four_values(v_starts, i1);
      let v2 = four_values(v_starts, i2);
      sum_a = outer_four(d1, v1, sum_a);
      sum_b = outer_four(d1, v2, sum_b);
      sum_c = outer_four(d2, v1, sum_c);
      sum_d = outer_four(d2, v2, sum_d);
    }
    total_a = total_a + sum_a;
    total_b = total_b + sum_b;
    total_c = total_c + sum_c;
    total_d = total_d + sum_d;
  }
  var totals = array<mat4x4f, 4>(total_a, total_b, total_c, total_d);
  for (var part = 0u; part < 4u; part++) {
    add_to(o + part / 2u, i + part % 2u * threads, totals[part]);
  }
}

fn outputs_and_inputs(o: u32, i: u32, lane: u32) {
  in_vec4s = sizes.in_vec4s;
  out_vec4s = sizes.out_vec4s;
  let delay = sizes.is_delayed * step.lanes;
  if (tile == 2u) {
    two_by_two(o, i, delay, lane);
  } else {
    one_by_one(o, i, delay, lane);
  }
}
