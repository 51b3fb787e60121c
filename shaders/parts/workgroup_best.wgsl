// The largest value of a workgroup's threads, and its index: of equals the first.
//
// Needs threads.

var<workgroup> best: array<u32, threads>;
var<workgroup> best_value: array<f32, threads>;

fn keep_better(thread: u32, other: u32) {
  let equal = best_value[other] == best_value[thread];
  if (best_value[other] > best_value[thread] || (equal && best[other] < best[thread])) {
    best_value[thread] = best_value[other];
    best[thread] = best[other];
  }
}
