// The greedy choice of the transducer for one frame of every lane (icefall's greedy_search, one symbol a frame):
//
//   token = argmax(logits), the first of equals
//   log_prob = logits[token] - log(sum(exp(logits)))
//   context = context without its oldest token, then token          unless token is blank or unknown
//
// Lanes that have no frame `at.frame` any more keep their context.
//
// One workgroup: one lane. Each thread goes over every 32nd logit, then a tree joins the 32 partial results: the
// order is fixed by the width alone.
// Workgroups: (lanes, 1, 1). Run once per frame, after joiner.output_linear.

override width: u32; // vocab_size
override context_size: u32;
override blank: u32;
override unk: u32; // a token that counts as blank; 0xffffffff for none

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

struct Lane {
  slot: u32,
  frames: u32, // encoder frames of this lane, 1 ..= step.frames
}

struct At {
  layer: u32,
  frame: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>; // (lanes, width rounded up to 4)
@group(0) @binding(1) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(2) var<storage, read_write> contexts: array<i32>; // (slots, context_size)
@group(0) @binding(3) var<storage, read_write> picked: array<vec4f>; // (lanes, frames) of token, log_prob, 0, 0
@group(0) @binding(4) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

const threads = 32u;
const lowest = -3.4028234e38;

var<workgroup> largest: array<f32, threads>;
var<workgroup> best: array<u32, threads>;
var<workgroup> partial: array<f32, threads>;

@compute @workgroup_size(32)
fn greedy_pick(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let lane = group.x;
  let start = lane * ((width + 3u) / 4u * 4u);

  var value = lowest;
  var index = 0u;
  for (var k = thread; k < width; k += threads) {
    if (logits[start + k] > value) {
      value = logits[start + k];
      index = k;
    }
  }
  largest[thread] = value;
  best[thread] = index;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      let other = thread + half;
      if (largest[other] > largest[thread] || (largest[other] == largest[thread] && best[other] < best[thread])) {
        largest[thread] = largest[other];
        best[thread] = best[other];
      }
    }
    workgroupBarrier();
  }

  var sum = 0.0;
  for (var k = thread; k < width; k += threads) {
    sum += exp(logits[start + k] - largest[0]);
  }
  partial[thread] = sum;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      partial[thread] += partial[thread + half];
    }
    workgroupBarrier();
  }

  if (thread == 0u && at.frame < lanes[lane].frames) {
    let token = best[0];
    picked[lane * step.frames + at.frame] = vec4f(f32(token), -log(partial[0]), 0.0, 0.0);
    if (token != blank && token != unk) {
      let context = lanes[lane].slot * context_size;
      for (var i = 1u; i < context_size; i++) {
        contexts[context + i - 1u] = contexts[context + i];
      }
      contexts[context + context_size - 1u] = i32(token);
    }
  }
}
