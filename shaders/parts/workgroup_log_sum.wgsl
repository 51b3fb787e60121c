// The logarithm of the sum of exponentials of what the 64 threads of a workgroup have, by trees: always in the same order.
// The largest is taken first.

const threads = 64u;

var<workgroup> partial: array<f32, threads>;

fn largest_of_threads(thread: u32, own: f32) -> f32 {
  partial[thread] = own;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] = max(partial[thread], partial[thread + half]);
    }
    workgroupBarrier();
  }
  let largest = partial[0];
  workgroupBarrier();
  return largest;
}

fn sum_of_threads(thread: u32, own: f32) -> f32 {
  partial[thread] = own;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }
  let sum = partial[0];
  workgroupBarrier();
  return sum;
}
