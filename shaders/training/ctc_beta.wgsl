// CTC, backwards: beta(T' - 1, s) = 0 for the last two states, and, normalised by its log-sum as alpha is,
//
//   beta(t, s) = log(sum over s, s + 1 and, if it may be skipped to, s + 2, of e^(beta(t + 1) + lp(t + 1))) - z(t)
//
// A workgroup: an utterance. Workgroups: (utterances, 1, 1).

@group(0) @binding(3) var<storage, read_write> beta: array<f32>; // (rows, states)

fn after(t: u32, n: u32, s: u32) -> f32 {
  return beta[place(t + 1u, n, s)] + log_prob(t + 1u, n, s);
}

fn unnormalised(t: u32, n: u32, s: u32, utterance: Utterance) -> f32 {
  if (t + 1u == utterance.frames) {
    return select(impossible, 0.0, s + 2u >= utterance.states);
  }
  var one = impossible;
  var two = impossible;
  if (s + 1u < utterance.states) {
    one = after(t, n, s + 1u);
  }
  if (s + 2u < utterance.states) {
    if (may_skip(n, s + 2u)) {
      two = after(t, n, s + 2u);
    }
  }
  return log_sum(after(t, n, s), one, two);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x;
  let utterance = utterances[n];
  for (var left = utterance.frames; left > 0u; left--) {
    let t = left - 1u;
    var largest = impossible;
    for (var s = thread; s < utterance.states; s += threads) {
      let value = unnormalised(t, n, s, utterance);
      beta[place(t, n, s)] = value;
      largest = max(largest, value);
    }
    let top = largest_of_threads(thread, largest);
    var sum = 0.0;
    for (var s = thread; s < utterance.states; s += threads) {
      sum += exp(beta[place(t, n, s)] - top);
    }
    let z = top + log(sum_of_threads(thread, sum));
    for (var s = thread; s < utterance.states; s += threads) {
      beta[place(t, n, s)] -= z;
    }
    storageBarrier();
    workgroupBarrier();
  }
}
