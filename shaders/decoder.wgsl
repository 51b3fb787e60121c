// The stateless decoder of the transducer, one context per lane (icefall's decoder.py):
//
//   y = relu(sum over i of conv[i] * embedding[context[i]])       a negative token embeds to zero
//
// One thread: four elements of one lane.
// Workgroups: (ceil(vec4s / 32), lanes, 1). Run once per frame, before joiner.decoder_proj.

override vec4s: u32; // ceil(decoder_dim / 4)
override context_size: u32;

@group(0) @binding(0) var<storage, read> embedding: array<vec4f>; // (vocab_size, vec4s)
@group(0) @binding(1) var<storage, read> conv: array<vec4f>; // (context_size, vec4s), oldest token first
@group(0) @binding(2) var<storage, read> contexts: array<i32>; // (slots, context_size)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (lanes, vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let lane = id.y;
  if (id.x >= vec4s || lane >= step.lanes) {
    return;
  }
  let context = lanes[lane].slot * context_size;
  var sum = vec4f(0.0);
  for (var i = 0u; i < context_size; i++) {
    let token = contexts[context + i];
    if (token >= 0) {
      sum = fma(conv[i * vec4s + id.x], embedding[u32(token) * vec4s + id.x], sum);
    }
  }
  y[lane * vec4s + id.x] = max(sum, vec4f(0.0));
}
