// The sum of what the 32 threads of a workgroup have, numbers of any shape, by a tree: always in the same order.
//
// Needs Partial.

const threads = 32u;

var<workgroup> partial: array<Partial, threads>;

fn total_of_threads(thread: u32, own: Partial) -> Partial {
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
