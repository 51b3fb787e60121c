// The sum of what the 32 threads of a workgroup have, by a tree: always in the same order.

const threads = 32u;

var<workgroup> partial: array<f32, threads>;

fn sum_of_threads(thread: u32, own: f32) -> f32 {
  partial[thread] = own;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }
  return partial[0];
}
