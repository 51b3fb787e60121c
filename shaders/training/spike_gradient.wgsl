// The spike loss's gradient with respect to logits, frame by frame. With w(t) = e^(r(t) - window) in the window, else 0,
//
//   dlogits(k) = scale * (softmax(k) - (1 - w) * [k is blank] - w * [k is the token])
//
// zero beyond an utterance's end; utterances of another loss are left alone. A workgroup: a row. Workgroups: (frames *
// utterances, 1, 1), folded into y beyond 32768.

@group(0) @binding(2) var<storage, read> windows: array<f32>; // (utterances)
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>; // (rows, width rounded up to 4)

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let n = row % step.lanes;
  let t = row / step.lanes;
  let padded = (width + 3u) / 4u * 4u;
  let count = select(0u, padded, is_inside(row) && spikes[n].is_own > 0u);
  var w = 0.0;
  if (count > 0u && is_in_window(t, n)) {
    w = exp(ratio(t, n) - windows[n]);
  }
  for (var k = thread; k < count; k += 32u) {
    var gradient = 0.0;
    if (k < width && t < spikes[n].frames) {
      gradient = exp(log_prob(t, n, k));
      if (k == 0u) {
        gradient -= 1.0 - w;
      } else if (k == spikes[n].token) {
        gradient -= w;
      }
      gradient *= spikes[n].scale;
    }
    dlogits[row * padded + k] = gradient;
  }
}
