// The transducer's stateless decoder, for each position of each target:
//
//   y = relu(sum over i of conv[i] * embedding[context[i]])          a negative token embeds to zero

override context_size: u32;

@group(0) @binding(0) var<storage, read> embedding: array<vec4f>; // (vocab_size, row_vec4s)
@group(0) @binding(1) var<storage, read> conv: array<vec4f>; // (context_size, row_vec4s), oldest token first
@group(0) @binding(2) var<storage, read> contexts: array<i32>; // (rows, context_size)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  var sum = vec4f(0.0);
  for (var i = 0u; i < context_size; i++) {
    let token = contexts[row * context_size + i];
    if (token >= 0) {
      sum += conv[i * row_vec4s + k] * embedding[u32(token) * row_vec4s + k];
    }
  }
  y[place] = max(sum, vec4f(0.0));
}
