// basic_norm.wgsl with the four invocations of a quad for a row in place of a workgroup: the same operations in the same
// order, and so the same bytes, without a barrier. For the method `quads`: on SwiftShader a barrier takes longer than a row.
//
// One workgroup: one row. The thread of quad lane l has the partial sums l, l + 4, l + 8, … of the 32, and so what the tree
// adds in its first three turns; two swaps within the quad are the others.
// Workgroups: (lanes * frames, 1, 1), folded into y beyond 32768. Needs the feature `subgroups`.
enable subgroups;

override width: u32; // elements of a row; the padding to vec4 is zero and adds nothing

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> eps: array<f32>; // (1)
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>; // (lanes * frames, ceil(width / 4))
@group(0) @binding(2) var<uniform> step: Step;

const sums = 32u;
const rows_per_y = 32768u;

// Squares of a vec4, or nothing past the end of the row.
fn square(start: u32, k: u32) -> f32 {
  if (k >= (width + 3u) / 4u) {
    return 0.0;
  }
  let v = x[start + k];
  return dot(v, v);
}

// Of four partial sums, each the fourth after the one before, what a turn over every `sums`-th vec4 adds.
fn squares(start: u32, k: u32) -> vec4f {
  return vec4f(square(start, k), square(start, k + 4u), square(start, k + 8u), square(start, k + 12u));
}

@compute @workgroup_size(4)
fn basic_norm_quad(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
  let quad_lane = subgroup_lane % 4u;
  let row = group.y * rows_per_y + group.x;
  if (row >= step.lanes * step.frames) {
    return;
  }
  let vec4s = (width + 3u) / 4u;
  let start = row * vec4s;

  var low = vec4f(0.0);
  var high = vec4f(0.0);
  for (var k = quad_lane; k < vec4s + quad_lane; k += sums) {
    low += squares(start, k);
    high += squares(start, k + 16u);
  }
  let eight = low + high;
  let four = eight.xy + eight.zw;
  let two = four.x + four.y;
  let one = two + quadSwapY(two);
  let sum = one + quadSwapX(one);

  let scale = inverseSqrt(sum / f32(width) + eps[0]);
  for (var k = quad_lane; k < vec4s; k += 4u) {
    x[start + k] *= scale;
  }
}
