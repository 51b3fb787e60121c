// Log-softmax in place, over all frames of a step (the CTC head):
//
//   x -= max(x) + log(sum(exp(x - max(x))))
//
// One workgroup: one row (softmax.wgsl).

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // (lanes * frames, width rounded up to 4)

fn logit_at(place: u32) -> f32 {
  return x[place];
}

fn join(thread: u32, other: u32) {
  partial[thread] = max(partial[thread], partial[other]);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let start = logits_start(row);
  let count = select(0u, width, is_inside(row));

  var highest = lowest;
  for (var k = thread; k < count; k += threads) {
    highest = max(highest, x[start + k]);
  }
  partial[thread] = highest;
  join_threads(thread);
  let largest = partial[0];
  workgroupBarrier();

  let offset = largest + log(sum_of_exponentials(start, count, largest, thread));
  for (var k = thread; k < count; k += threads) {
    x[start + k] -= offset;
  }
}
