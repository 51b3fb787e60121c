// Gradient of the decoder's convolution (decoder.wgsl), from that of its sum: dconv[i] += sum over rows of dy * embedding[context[i]].
//
// A thread: four elements of a place in the context. Workgroups: (ceil(row_vec4s / 32), context_size, 1). Sums in the order of
// rows.

override row_vec4s: u32; // ceil(decoder_dim / 4)
override context_size: u32;

@group(0) @binding(0) var<storage, read> embedding: array<vec4f>; // (vocab_size, row_vec4s)
@group(0) @binding(1) var<storage, read> contexts: array<i32>; // (rows, context_size)
@group(0) @binding(2) var<storage, read> dy: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>; // (context_size, row_vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  let i = id.y;
  if (k >= row_vec4s) {
    return;
  }
  var sum = vec4f(0.0);
  for (var row = 0u; row < rows(); row++) {
    let token = contexts[row * context_size + i];
    if (token >= 0) {
      sum += dy[row * row_vec4s + k] * embedding[u32(token) * row_vec4s + k];
    }
  }
  gradient[i * row_vec4s + k] += sum;
}
