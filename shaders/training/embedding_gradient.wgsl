// Gradient of the decoder's embedding (decoder.wgsl), from that of its sum: dembedding[v] += sum of dy * conv[i] over all rows
// and i with context[i] = v. Each token looks for itself, so that nothing is added from two sides at once.
//
// A thread: four elements of a token. Workgroups: (ceil(row_vec4s / 32), vocab_size, 1). Sums in the order of rows, then i.

override row_vec4s: u32; // ceil(decoder_dim / 4)
override context_size: u32;

@group(0) @binding(0) var<storage, read> conv: array<vec4f>; // (context_size, row_vec4s), oldest token first
@group(0) @binding(1) var<storage, read> contexts: array<i32>; // (rows, context_size)
@group(0) @binding(2) var<storage, read> dy: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4f>; // (vocab_size, row_vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  let token = id.y;
  if (k >= row_vec4s) {
    return;
  }
  var sum = vec4f(0.0);
  for (var place = 0u; place < rows() * context_size; place++) {
    if (contexts[place] == i32(token)) {
      sum += dy[place / context_size * row_vec4s + k] * conv[place % context_size * row_vec4s + k];
    }
  }
  gradient[token * row_vec4s + k] += sum;
}
