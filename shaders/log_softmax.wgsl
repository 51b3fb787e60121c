// Log-softmax in place, over all frames of a step (the CTC head):
//
//   x -= max(x) + log(sum(exp(x - max(x))))
//
// One workgroup: one row (a frame of a lane). Each thread goes over every 32nd element, then a tree joins
// the 32 partial results: the order is fixed by the width alone. The padding to vec4 is left alone.
// Workgroups: (lanes * frames, 1, 1), folded into y beyond 32768.

override width: u32; // classes

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // (lanes * frames, width rounded up to 4)
@group(0) @binding(1) var<uniform> step: Step;

const threads = 32u;
const rows_per_y = 32768u;
const lowest = -3.4028234e38;

var<workgroup> partial: array<f32, threads>;

@compute @workgroup_size(32)
fn log_softmax(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * rows_per_y + group.x;
  let start = row * ((width + 3u) / 4u * 4u);
  let inside = row < step.lanes * step.frames;

  var largest = lowest;
  if (inside) {
    for (var k = thread; k < width; k += threads) {
      largest = max(largest, x[start + k]);
    }
  }
  partial[thread] = largest;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] = max(partial[thread], partial[thread + half]);
    }
    workgroupBarrier();
  }
  largest = partial[0];
  workgroupBarrier();

  var sum = 0.0;
  if (inside) {
    for (var k = thread; k < width; k += threads) {
      sum += exp(x[start + k] - largest);
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

  let offset = largest + log(partial[0]);
  if (inside) {
    for (var k = thread; k < width; k += threads) {
      x[start + k] -= offset;
    }
  }
}
