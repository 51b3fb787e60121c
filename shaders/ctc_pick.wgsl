// The greedy choice of the CTC head, over all frames of a step:
//
//   token = argmax(logits - penalty of the blank), the first of equals
//   log_prob = logits[token] - max(logits) - log(sum(exp(logits - max(logits))))
//
// One workgroup: one row (a frame of a lane). Each thread goes over every 32nd logit, then a tree joins the 32 partial
// results: the order is fixed by the width alone.
// Workgroups: (lanes * frames, 1, 1), folded into y beyond 32768.

override width: u32; // vocab_size
override blank: u32;
override blank_penalty: f32; // subtracted from the blank's logit for the choice

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

@group(0) @binding(0) var<storage, read> logits: array<f32>; // (lanes * frames, width rounded up to 4)
@group(0) @binding(1) var<storage, read_write> picked: array<vec4f>; // (lanes * frames) of token, log_prob, 0, 0
@group(0) @binding(2) var<uniform> step: Step;

const threads = 32u;
const rows_per_y = 32768u;
const lowest = -3.4028234e38;

var<workgroup> largest: array<f32, threads>;
var<workgroup> best: array<u32, threads>;
var<workgroup> best_value: array<f32, threads>;
var<workgroup> partial: array<f32, threads>;

@compute @workgroup_size(32)
fn ctc_pick(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * rows_per_y + group.x;
  let start = row * ((width + 3u) / 4u * 4u);
  let inside = row < step.lanes * step.frames;

  var highest = lowest;
  var value = lowest;
  var index = 0u;
  if (inside) {
    for (var k = thread; k < width; k += threads) {
      let logit = logits[start + k];
      let wanted = logit - select(0.0, blank_penalty, k == blank);
      highest = max(highest, logit);
      if (wanted > value) {
        value = wanted;
        index = k;
      }
    }
  }
  largest[thread] = highest;
  best_value[thread] = value;
  best[thread] = index;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      let other = thread + half;
      largest[thread] = max(largest[thread], largest[other]);
      let equal = best_value[other] == best_value[thread];
      if (best_value[other] > best_value[thread] || (equal && best[other] < best[thread])) {
        best_value[thread] = best_value[other];
        best[thread] = best[other];
      }
    }
    workgroupBarrier();
  }

  var sum = 0.0;
  if (inside) {
    for (var k = thread; k < width; k += threads) {
      sum += exp(logits[start + k] - largest[0]);
    }
  }
  partial[thread] = sum;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }

  if (inside && thread == 0u) {
    let token = best[0];
    picked[row] = vec4f(f32(token), logits[start + token] - largest[0] - log(partial[0]), 0.0, 0.0);
  }
}
