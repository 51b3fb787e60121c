// icefall's GradientFilter: an utterance whose gradient is far larger than the others' counts for less. With m the lower median
// of the sizes n:
//
//   q = (10 m + n) / (10 m + tiny)          factor = 1 / (q + tiny), of an utterance; of the weights 1 / (mean of q + tiny)
//
// One workgroup: its 32 threads take every 32nd utterance each, sums joined by a tree.

@group(0) @binding(0) var<storage, read> norms: array<f32>; // (utterances)
@group(0) @binding(1) var<storage, read_write> factors: array<f32>; // (1 + utterances): the weights', then the utterances'

const threshold = 10.0;
const tiny = 1e-20;

var<workgroup> median: f32;

// How many utterances are before one, by size.
fn rank_of(utterance: u32) -> u32 {
  let own = norms[utterance];
  var rank = 0u;
  for (var other = 0u; other < step.lanes; other++) {
    let n = norms[other];
    rank += select(0u, 1u, n < own || (n == own && other < utterance));
  }
  return rank;
}

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) thread: u32) {
  for (var n = thread; n < step.lanes; n += threads) {
    if (rank_of(n) == (step.lanes - 1u) / 2u) {
      median = norms[n];
    }
  }
  workgroupBarrier();
  let limit = threshold * median;
  var sum = 0.0;
  for (var n = thread; n < step.lanes; n += threads) {
    let q = (limit + norms[n]) / (limit + tiny);
    factors[1u + n] = 1.0 / (q + tiny);
    sum += q;
  }
  let total = sum_of_threads(thread, sum);
  if (thread == 0u) {
    factors[0] = 1.0 / (total / f32(step.lanes) + tiny);
  }
}
