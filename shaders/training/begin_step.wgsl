// Before an optimizer's step: the norm of all gradients, how much they are clipped by, and whether the step is taken.
//
//   norm = sqrt(sum of g^2) / loss_scale          factor = min(1, max_norm / (norm + 1e-6)) / loss_scale
//
// A norm that is not finite skips the step, and is counted. 1 - beta^t follows as q <- q * beta + (1 - beta). Every
// average_period steps the weights go into their average: icefall's mean over all steps, in which they count period / t, or an
// exponential one. One workgroup of 32 threads, joined by a tree.

@group(0) @binding(0) var<storage, read> totals: array<Total>; // (parameters)

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var k = thread; k < arrayLength(&totals); k += threads) {
    sum += totals[k].squares;
  }
  let squares = sum_of_threads(thread, sum);
  if (thread > 0u) {
    return;
  }
  // By its bits: compilers may take it for granted that numbers are finite.
  let is_finite = (bitcast<u32>(squares) & 0x7f800000u) != 0x7f800000u;
  state.norm = sqrt(squares) / rates.loss_scale;
  if (!is_finite) {
    state.is_skipped = 1u;
    state.skipped += 1u;
    return;
  }
  state.is_skipped = 0u;
  state.taken += 1u;
  state.factor = min(1.0, rates.max_norm / (state.norm + 1e-6)) / rates.loss_scale;
  state.correction1 = state.correction1 * rates.beta1 + (1.0 - rates.beta1);
  state.correction2 = state.correction2 * rates.beta2 + (1.0 - rates.beta2);
  state.average_weight = 0.0;
  if (rates.average_period > 0u && state.taken % rates.average_period == 0u) {
    let mean = f32(rates.average_period) / f32(state.taken);
    state.average_weight = select(mean, 1.0 - rates.average_decay, rates.average_decay > 0.0);
  }
}
