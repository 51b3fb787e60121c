// On the way back through the LSTM, one frame of all utterances: dm = W_hr^T dh, and through the cell (lstm_back.wgsl). A
// product (product_plain.wgsl, product_texture.wgsl), backwards: dh goes in.


@group(0) @binding(1) var<storage, read> dh: array<Input>; // (rows, in_vec4s)

fn unit_vec4s() -> u32 {
  return out_vec4s;
}

fn row_start(lane: u32) -> u32 {
  return frame_row(lane) * in_vec4s;
}

fn load(place: u32) -> Input {
  return dh[place];
}

fn store(lane: u32, unit: u32, sum: vec4f) {
  back(lane, unit, sum);
}
