// BasicNorm in place, over all frames of a step (encoder_embed.out_norm, norm_final of a layer):
//
//   x *= (mean(x^2) + eps) ^ (-1/2)          eps is exp() of the stored, learned logarithm
//
// One workgroup: one row (a frame of a lane). Each thread sums every 32nd vec4, then a tree adds the 32
// partial sums: the order is fixed by the width alone.
// Workgroups: (lanes * frames, 1, 1), folded into y beyond 32768.

override width: u32; // elements of a row; the padding to vec4 is zero and adds nothing

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> eps: array<f32>; // (1)
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>; // (lanes * frames, ceil(width / 4))
@group(0) @binding(2) var<uniform> step: Step;

const threads = 32u;
const rows_per_y = 32768u;

var<workgroup> partial: array<f32, threads>;

@compute @workgroup_size(32)
fn basic_norm(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * rows_per_y + group.x;
  let vec4s = (width + 3u) / 4u;
  let start = row * vec4s;
  let inside = row < step.lanes * step.frames;

  var sum = 0.0;
  if (inside) {
    for (var k = thread; k < vec4s; k += threads) {
      let v = x[start + k];
      sum += dot(v, v);
    }
  }
  partial[thread] = sum;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }

  let scale = inverseSqrt(partial[0] / f32(width) + eps[0]);
  if (inside) {
    for (var k = thread; k < vec4s; k += threads) {
      x[start + k] *= scale;
    }
  }
}
