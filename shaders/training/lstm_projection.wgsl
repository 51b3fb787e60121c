// The LSTM's output, one frame of all utterances: h = W_hr m. A product (product_plain.wgsl, product_texture.wgsl) of a row
// for each utterance.


@group(0) @binding(1) var<storage, read> m: array<Input>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> h: array<Stored>; // (rows, out_vec4s)

fn row_start(lane: u32) -> u32 {
  return frame_row(lane) * in_vec4s;
}

fn load(place: u32) -> Input {
  return m[place];
}

fn store(lane: u32, o: u32, sum: vec4f) {
  h[frame_row(lane) * out_vec4s + o] = stored(sum);
}
