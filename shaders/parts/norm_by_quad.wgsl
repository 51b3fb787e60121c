// basic_norm.wgsl by the four invocations of a quad for each row: the same operations in the same order as by a workgroup,
// and so the same bytes, without a barrier. For the method `quads`: on SwiftShader a barrier takes longer than a row. The
// device must have the feature `subgroups`.
//
// The thread of quad lane l has the partial sums l, l + 4, l + 8, … of the 32, and so what the tree adds in its first three
// turns; two swaps within the quad are the others.
//
// Needs row_of, is_inside, row_vec4s, squares_of, factor, x.
enable subgroups;

const partial_sums = 32u;

// Of the k-th vec4, or nothing past the end of the row.
fn square(start: u32, k: u32) -> f32 {
  if (k >= row_vec4s()) {
    return 0.0;
  }
  return squares_of(start + k);
}

// Of four partial sums, each the fourth after the one before, what a turn over every 32nd vec4 adds.
fn four_squares(start: u32, k: u32) -> vec4f {
  return vec4f(square(start, k), square(start, k + 4u), square(start, k + 8u), square(start, k + 12u));
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let quad_lane = subgroup_lane % 4u;
  let row = row_of(group);
  if (!is_inside(row)) {
    return;
  }
  let vec4s = row_vec4s();
  let start = row * vec4s;

  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var k = quad_lane; k < vec4s + quad_lane; k += partial_sums) {
    low += four_squares(start, k);
    high += four_squares(start, k + 16u);
  }
  let eight = low + high;
  let four = eight.xy + eight.zw;
  let two = four.x + four.y;
  let one = two + quadSwapY(two);
  let scale = factor(one + quadSwapX(one));
  for (var k = quad_lane; k < vec4s; k += 4u) {
    x[start + k] *= scale;
  }
}
