// On the way back through the LSTM, one frame of all utterances: what the next frame's gates say of h.
//
//   dh(t) += W_hh^T dz(t + 1)
//
// A product (product_plain.wgsl, product_texture.wgsl), backwards: dz goes in. Not dispatched for the last frame.


@group(0) @binding(1) var<storage, read> dz: array<Input>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> dh: array<vec4f>; // (rows, out_vec4s)

fn row_start(lane: u32) -> u32 {
  return (frame_row(lane) + step.lanes) * in_vec4s;
}

fn load(place: u32) -> Input {
  return dz[place];
}

fn store(lane: u32, o: u32, sum: vec4f) {
  dh[frame_row(lane) * out_vec4s + o] += sum;
}
