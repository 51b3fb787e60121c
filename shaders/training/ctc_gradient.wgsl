// CTC's gradient with respect to logits, frame by frame:
//
//   dlogits(k) = scale * (softmax(k) - sum of gamma(s) over s with l_s = k)          gamma = softmax over s of alpha + beta
//
// zero beyond an utterance's end; where its labels do not fit, the scale itself. A workgroup: a row. Workgroups: (frames *
// utterances, 1, 1), folded into y beyond 32768.

@group(0) @binding(3) var<storage, read> alpha: array<f32>; // (rows, states)
@group(0) @binding(4) var<storage, read> beta: array<f32>; // (rows, states)
@group(0) @binding(5) var<storage, read_write> dlogits: array<f32>; // (rows, width rounded up to 4)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let is_row = is_inside(row);
  let n = row % step.lanes;
  let t = row / step.lanes;
  let utterance = utterances[n];
  let is_own = is_row && t < utterance.frames;
  let is_counted = is_own && utterance.is_feasible > 0u;
  let count = select(0u, utterance.states, is_counted);
  var largest = impossible;
  for (var s = thread; s < count; s += threads) {
    largest = max(largest, alpha[place(t, n, s)] + beta[place(t, n, s)]);
  }
  let top = largest_of_threads(thread, largest);
  var sum = 0.0;
  for (var s = thread; s < count; s += threads) {
    sum += exp(alpha[place(t, n, s)] + beta[place(t, n, s)] - top);
  }
  let total = sum_of_threads(thread, sum);
  let padded = (width + 3u) / 4u * 4u;
  for (var k = thread; k < select(0u, padded, is_row); k += threads) {
    var gradient = 0.0;
    if (is_own && k < width && !is_counted) {
      gradient = utterance.scale;
    }
    if (is_counted && k < width) {
      var gamma = 0.0;
      for (var s = 0u; s < count; s++) {
        if (label(n, s) == k) {
          gamma += exp(alpha[place(t, n, s)] + beta[place(t, n, s)] - top);
        }
      }
      gradient = utterance.scale * (exp(log_probs[row * padded + k]) - gamma / total);
    }
    dlogits[row * padded + k] = gradient;
  }
}
