// Transducer loss, forwards: with u symbols said behind k steps, and each step normalised by its log-sum z(k),
//
//   alpha(k, u) = log(e^(alpha(k - 1, u) + blank(k - 1, u)) + e^(alpha(k - 1, u - 1) + said(k - 1, u - 1))) - z(k)
//   loss = -sum of z(k)
//
// A workgroup: an utterance; its 64 threads take every 64th position each, joined by a tree. Workgroups: (utterances, 1, 1).

@group(0) @binding(2) var<storage, read> log_probs: array<f32>; // (lattice rows, width rounded up to 4)
@group(0) @binding(3) var<storage, read_write> alpha: array<f32>; // (utterances, steps + 1, positions)
@group(0) @binding(4) var<storage, read_write> losses: array<f32>; // (utterances)

fn unnormalised(k: u32, n: u32, u: u32) -> f32 {
  if (!is_node(k, n, u)) {
    return impossible;
  }
  if (k == 0u) {
    return select(impossible, 0.0, u == 0u);
  }
  var by_symbol = impossible;
  if (u > 0u) {
    by_symbol = alpha[place(k - 1u, n, u - 1u)] + said(k - 1u, n, u - 1u);
  }
  return log_sum(alpha[place(k - 1u, n, u)] + blank(k - 1u, n, u), by_symbol);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x;
  var loss = 0.0;
  let count = utterances[n].symbols + 1u;
  for (var k = 0u; k <= steps_of(n); k++) {
    var largest = impossible;
    for (var u = thread; u < count; u += threads) {
      let value = unnormalised(k, n, u);
      alpha[place(k, n, u)] = value;
      largest = max(largest, value);
    }
    let top = largest_of_threads(thread, largest);
    var sum = 0.0;
    for (var u = thread; u < count; u += threads) {
      sum += exp(alpha[place(k, n, u)] - top);
    }
    let z = top + log(sum_of_threads(thread, sum));
    for (var u = thread; u < count; u += threads) {
      alpha[place(k, n, u)] -= z;
    }
    loss -= z;
    storageBarrier();
    workgroupBarrier();
  }
  if (thread == 0u) {
    losses[n] = loss;
  }
}
