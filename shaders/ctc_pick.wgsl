// The greedy choice of the CTC head, over all frames of a step:
//
//   token = argmax(logits - penalty of the blank), the first of equals
//   log_prob = logits[token] - max(logits) - log(sum(exp(logits - max(logits))))
//
// One workgroup: one row (softmax.wgsl).

override blank: u32;
override blank_penalty: f32; // subtracted from the blank's logit for the choice

@group(0) @binding(0) var<storage, read> logits: array<f32>; // (lanes * frames, width rounded up to 4)
@group(0) @binding(1) var<storage, read_write> picked: array<vec4f>; // (lanes * frames) of token, log_prob, 0, 0

var<workgroup> largest: array<f32, threads>;

fn logit_at(place: u32) -> f32 {
  return logits[place];
}

fn join(thread: u32, other: u32) {
  largest[thread] = max(largest[thread], largest[other]);
  keep_better(thread, other);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let start = logits_start(row);
  let count = select(0u, width, is_inside(row));

  var highest = lowest;
  var value = lowest;
  var index = 0u;
  for (var k = thread; k < count; k += threads) {
    let logit = logits[start + k];
    let wanted = logit - select(0.0, blank_penalty, k == blank);
    highest = max(highest, logit);
    if (wanted > value) {
      value = wanted;
      index = k;
    }
  }
  largest[thread] = highest;
  best_value[thread] = value;
  best[thread] = index;
  join_threads(thread);

  let sum = sum_of_exponentials(start, count, largest[0], thread);
  if (is_inside(row) && thread == 0u) {
    let token = best[0];
    picked[row] = vec4f(f32(token), logits[start + token] - largest[0] - log(sum), 0.0, 0.0);
  }
}
