// The transducer loss's gradient with respect to logits. With the shares that a row's two ways on have of all paths,
//
//   b = e^(alpha(k, u) + blank(k, u) + beta(k + 1, u) - totals(k))          s = e^(alpha(k, u) + said(k, u) + beta(k + 1, u + 1) - totals(k))
//   dlogits(v) = scale * (softmax(v) * (b + s) - b * [v is blank] - s * [v is the next symbol])
//
// zero beyond an utterance's frames and symbols; where its symbols do not fit, the scale itself. It takes the place of the
// log-probabilities. A workgroup: a row. Workgroups: (lattice rows, 1, 1), folded into y beyond 32768.

@group(0) @binding(2) var<storage, read_write> log_probs: array<f32>; // (lattice rows, width rounded up to 4): then dlogits
@group(0) @binding(3) var<storage, read> alpha: array<f32>; // (utterances, steps + 1, positions)
@group(0) @binding(4) var<storage, read> beta: array<f32>; // (utterances, steps + 1, positions)
@group(0) @binding(5) var<storage, read> totals: array<f32>; // (utterances, steps + 1)

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let n = row % step.lanes / lattice.positions;
  let u = row % lattice.positions;
  let k = row / step.lanes + skew * u;
  var by_blank = 0.0;
  var by_symbol = 0.0;
  let is_own = is_inside(row) && is_inside_lattice(k, n, u);
  let is_counted = is_own && utterances[n].is_feasible > 0u;
  if (is_counted) {
    let before = alpha[place(k, n, u)] - totals[n * (most_steps() + 1u) + k];
    by_blank = exp(before + blank(k, n, u) + beta[place(k + 1u, n, u)]);
    if (u < utterances[n].symbols) {
      by_symbol = exp(before + said(k, n, u) + beta[place(k + 1u, n, u + 1u)]);
    }
  }
  storageBarrier();
  workgroupBarrier();
  let padded = (width + 3u) / 4u * 4u;
  for (var v = thread; v < select(0u, padded, is_inside(row)); v += 32u) {
    var gradient = 0.0;
    if (is_own && v < width && !is_counted) {
      gradient = utterances[n].scale;
    }
    if (is_counted && v < width) {
      gradient = exp(log_probs[row * padded + v]) * (by_blank + by_symbol);
      if (v == 0u) {
        gradient -= by_blank;
      } else if (v == symbols[n * lattice.positions + u]) {
        gradient -= by_symbol;
      }
      gradient *= utterances[n].scale;
    }
    log_probs[row * padded + v] = gradient;
  }
}
