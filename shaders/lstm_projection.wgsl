// One frame of the LSTM's projection, all lanes, and the residual of its layer:
//
//   h = W_hr m
//   x[t] += h
//
// A product (product_*.wgsl): a row is a lane. Run once per frame, after lstm_cell.

override in_vec4s: u32; // ceil(units / 4)
override out_vec4s: u32; // ceil(width of h / 4)

@group(0) @binding(2) var<storage, read> m: array<Input>; // (lanes, in_vec4s)

fn row_start(lane: u32) -> u32 {
  return lane * in_vec4s;
}

fn load(place: u32) -> Input {
  return m[place];
}

fn store(lane: u32, p: u32, sum: vec4f) {
  if (has_frame(lane)) {
    put_output(lane, p, scaled(sum, p), stream_at(lane, p));
  }
}
