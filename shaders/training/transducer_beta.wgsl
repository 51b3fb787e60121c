// Transducer loss, backwards: beta = 0 where all is said, and, normalised by its log-sum z(k) as alpha is,
//
//   b(k, u) = log(e^(beta(k + 1, u) + blank(k, u)) + e^(beta(k + 1, u + 1) + said(k, u)))          beta(k, u) = b(k, u) - z(k)
//   totals(k) = log(sum over u of e^(alpha(k, u) + b(k, u)))
//
// A workgroup: an utterance; its 64 threads take every 64th position each, joined by a tree. Workgroups: (utterances, 1, 1).

@group(0) @binding(2) var<storage, read> log_probs: array<f32>; // (lattice rows, width rounded up to 4)
@group(0) @binding(3) var<storage, read> alpha: array<f32>; // (utterances, steps + 1, positions)
@group(0) @binding(4) var<storage, read_write> beta: array<f32>; // (utterances, steps + 1, positions)
@group(0) @binding(5) var<storage, read_write> totals: array<f32>; // (utterances, steps + 1)

fn unnormalised(k: u32, n: u32, u: u32) -> f32 {
  if (!is_node(k, n, u)) {
    return impossible;
  }
  if (k == steps_of(n)) {
    return 0.0;
  }
  var by_symbol = impossible;
  if (u < utterances[n].symbols) {
    by_symbol = beta[place(k + 1u, n, u + 1u)] + said(k, n, u);
  }
  return log_sum(beta[place(k + 1u, n, u)] + blank(k, n, u), by_symbol);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x;
  let count = utterances[n].symbols + 1u;
  for (var left = steps_of(n) + 1u; left > 0u; left--) {
    let k = left - 1u;
    var largest = impossible;
    var largest_both = impossible;
    for (var u = thread; u < count; u += threads) {
      let value = unnormalised(k, n, u);
      beta[place(k, n, u)] = value;
      largest = max(largest, value);
      largest_both = max(largest_both, value + alpha[place(k, n, u)]);
    }
    let top = largest_of_threads(thread, largest);
    let top_both = largest_of_threads(thread, largest_both);
    var sum = 0.0;
    var sum_both = 0.0;
    for (var u = thread; u < count; u += threads) {
      sum += exp(beta[place(k, n, u)] - top);
      sum_both += exp(beta[place(k, n, u)] + alpha[place(k, n, u)] - top_both);
    }
    let z = top + log(sum_of_threads(thread, sum));
    let total = top_both + log(sum_of_threads(thread, sum_both));
    for (var u = thread; u < count; u += threads) {
      beta[place(k, n, u)] -= z;
    }
    if (thread == 0u) {
      totals[n * (most_steps() + 1u) + k] = total;
    }
    storageBarrier();
    workgroupBarrier();
  }
}
