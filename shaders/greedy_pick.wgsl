// The greedy choice of the transducer for one frame of every lane (icefall's greedy_search, one symbol a frame):
//
//   token = argmax(logits), the first of equals
//   log_prob = logits[token] - log(sum(exp(logits)))
//   context = context without its oldest token, then token          unless token is blank or unknown
//
// Lanes that have no frame `at.frame` any more keep their context.
//
// One workgroup: one lane, a row (softmax.wgsl).
// Workgroups: (lanes, 1, 1). Run once per frame, after joiner.output_linear.

override context_size: u32;
override blank: u32;
override unk: u32; // a token that counts as blank; 0xffffffff for none

@group(0) @binding(0) var<storage, read> logits: array<f32>; // (lanes, width rounded up to 4)
@group(0) @binding(1) var<storage, read_write> contexts: array<i32>; // (slots, context_size)
@group(0) @binding(2) var<storage, read_write> picked: array<vec4f>; // (lanes, frames) of token, log_prob, 0, 0

fn logit_at(place: u32) -> f32 {
  return logits[place];
}

fn join(thread: u32, other: u32) {
  keep_better(thread, other);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let lane = group.x;
  let start = logits_start(lane);

  var value = lowest;
  var index = 0u;
  for (var k = thread; k < width; k += threads) {
    if (logits[start + k] > value) {
      value = logits[start + k];
      index = k;
    }
  }
  best_value[thread] = value;
  best[thread] = index;
  join_threads(thread);

  let sum = sum_of_exponentials(start, width, best_value[0], thread);
  if (thread == 0u && at.frame < lanes[lane].frames) {
    let token = best[0];
    picked[lane * step.frames + at.frame] = vec4f(f32(token), -log(sum), 0.0, 0.0);
    if (token != blank && token != unk) {
      let context = lanes[lane].slot * context_size;
      for (var i = 1u; i < context_size; i++) {
        contexts[context + i - 1u] = contexts[context + i];
      }
      contexts[context + context_size - 1u] = i32(token);
    }
  }
}
