// One frame of the LSTM cell, all lanes: the recurrent half of the gates, the cell state, the cell output.
//
//   (i, f, g, o) = gates_x[t] + W_hh h
//   c, m                                     lstm_gates.wgsl; the projection (or lstm_carry) turns m into the next h
//
// gates_x already holds W_ih x + b_ih + b_hh for every frame of the step. The four gate rows of a unit are interleaved, so
// that a unit's gates are one vec4 and W_hh lies in columns like other weights.
//
// A product (product_*.wgsl): a row is a lane, an output is a unit's four gates. Run once per frame, before the projection.

override in_vec4s: u32; // ceil(width of h / 4)
override out_vec4s: u32; // units, padded to a multiple of 4; padding units stay zero

@group(0) @binding(2) var<storage, read> gates_x: array<vec4f>; // (lanes, frames, out_vec4s)
@group(0) @binding(4) var<storage, read> h: array<Input>; // (slots, layers, in_vec4s)
@group(0) @binding(6) var<storage, read_write> m: array<f32>; // (lanes, out_vec4s)

fn row_start(lane: u32) -> u32 {
  return state_row(lane) * in_vec4s;
}

fn load(place: u32) -> Input {
  return h[place];
}

fn store(lane: u32, unit: u32, sum: vec4f) {
  if (has_frame(lane)) {
    let gates = gates_x[element_row(lane) * out_vec4s + unit] + scaled(sum, unit);
    m[lane * out_vec4s + unit] = cell_output(lane, unit, gates);
  }
}
