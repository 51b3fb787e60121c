// The transducer's joiner, each frame with each position of its utterance: y = tanh(encoder_proj + decoder_proj).

@group(0) @binding(0) var<storage, read> encoder_proj: array<vec4f>; // (frames * utterances, row_vec4s)
@group(0) @binding(1) var<storage, read> decoder_proj: array<vec4f>; // (utterances * positions, row_vec4s)
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // (lattice rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  let encoder = encoder_proj[row / lattice.positions * row_vec4s + k];
  let v = encoder + decoder_proj[row % step.lanes * row_vec4s + k];
  y[place] = vec4f(tanh_exact(v.x), tanh_exact(v.y), tanh_exact(v.z), tanh_exact(v.w));
}
