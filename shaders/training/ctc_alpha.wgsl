// CTC, forwards: with l the labels with blanks between them, and each frame normalised by its log-sum z(t),
//
//   alpha(t, s) = lp(t, l_s) + log(e^alpha(t - 1, s) + e^alpha(t - 1, s - 1) + [may skip] e^alpha(t - 1, s - 2)) - z(t)
//   loss = -sum of z(t) - log(e^alpha(T' - 1, S - 1) + e^alpha(T' - 1, S - 2))
//
// Normalised, f32 keeps its precision however long an utterance is. A workgroup: an utterance. Workgroups: (utterances, 1, 1).

@group(0) @binding(3) var<storage, read_write> alpha: array<f32>; // (rows, states)
@group(0) @binding(4) var<storage, read_write> losses: array<f32>; // (utterances)

fn before(t: u32, n: u32, s: u32) -> f32 {
  return alpha[place(t - 1u, n, s)];
}

fn unnormalised(t: u32, n: u32, s: u32) -> f32 {
  if (t == 0u) {
    return select(impossible, log_prob(0u, n, s), s < 2u);
  }
  var one = impossible;
  var two = impossible;
  if (s > 0u) {
    one = before(t, n, s - 1u);
  }
  if (may_skip(n, s)) {
    two = before(t, n, s - 2u);
  }
  return log_prob(t, n, s) + log_sum(before(t, n, s), one, two);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x;
  let utterance = utterances[n];
  var loss = 0.0;
  for (var t = 0u; t < utterance.frames; t++) {
    var largest = impossible;
    for (var s = thread; s < utterance.states; s += threads) {
      let value = unnormalised(t, n, s);
      alpha[place(t, n, s)] = value;
      largest = max(largest, value);
    }
    let top = largest_of_threads(thread, largest);
    var sum = 0.0;
    for (var s = thread; s < utterance.states; s += threads) {
      sum += exp(alpha[place(t, n, s)] - top);
    }
    let z = top + log(sum_of_threads(thread, sum));
    for (var s = thread; s < utterance.states; s += threads) {
      alpha[place(t, n, s)] -= z;
    }
    loss -= z;
    storageBarrier();
    workgroupBarrier();
  }
  if (thread == 0u) {
    let last = utterance.frames - 1u;
    var one = impossible;
    if (utterance.states > 1u) {
      one = alpha[place(last, n, utterance.states - 2u)];
    }
    loss -= log_sum(alpha[place(last, n, utterance.states - 1u)], one, impossible);
    losses[n] = loss;
  }
}
