// Spike loss: exactly one frame of a window W says the token k, all others say blank. With r(t) = lp(t, k) - lp(t, 0),
//
//   window = log(sum over t in W of e^r(t))          loss = -sum over t of lp(t, 0) - window
//
// and without a window the first sum alone. Utterances of another loss are left alone. A workgroup: an utterance; its 64
// threads take every 64th frame each, joined by a tree. Workgroups: (utterances, 1, 1).

@group(0) @binding(2) var<storage, read_write> windows: array<f32>; // (utterances)
@group(0) @binding(3) var<storage, read_write> losses: array<f32>; // (utterances)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x;
  var blanks = 0.0;
  var largest = impossible;
  for (var t = thread; t < spikes[n].frames; t += threads) {
    blanks += log_prob(t, n, 0u);
    if (is_in_window(t, n)) {
      largest = max(largest, ratio(t, n));
    }
  }
  let top = largest_of_threads(thread, largest);
  var sum = 0.0;
  for (var t = thread; t < spikes[n].frames; t += threads) {
    if (is_in_window(t, n)) {
      sum += exp(ratio(t, n) - top);
    }
  }
  let total = sum_of_threads(thread, sum);
  let blank = sum_of_threads(thread, blanks);
  if (thread == 0u && spikes[n].is_own > 0u) {
    let has_window = spikes[n].end > spikes[n].first;
    let window = select(0.0, top + log(total), has_window);
    windows[n] = window;
    losses[n] = -blank - window;
  }
}
