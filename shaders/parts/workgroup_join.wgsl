// What the 32 threads of a workgroup have left in workgroup memory, joined by a tree into what the first one has.
//
// Needs threads, join.

fn join_threads(thread: u32) {
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      join(thread, thread + half);
    }
    workgroupBarrier();
  }
}
