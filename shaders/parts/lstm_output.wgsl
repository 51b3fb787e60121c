// What a frame of an LSTM layer ends with: the next h, and the residual stream.
//
//   h = value
//   x[t] = residual + value
//
// Needs state_row, element_row, out_vec4s.

@group(0) @binding(4) var<storage, read_write> h: array<vec4f>; // (slots, layers, out_vec4s)
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>; // (lanes, frames, out_vec4s)

// x before the layer's output is added.
fn stream_at(lane: u32, p: u32) -> vec4f {
  return x[element_row(lane) * out_vec4s + p];
}

fn put_output(lane: u32, p: u32, value: vec4f, residual: vec4f) {
  h[state_row(lane) * out_vec4s + p] = value;
  x[element_row(lane) * out_vec4s + p] = residual + value;
}
