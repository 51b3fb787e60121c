// The LSTM's cell, one frame of all utterances, from zero states:
//
//   z = gates_x + b_hh + W_hh h(t - 1)          i, f, o = sigmoid(z), g = tanh(z)
//   c(t) = f * c(t - 1) + i * g                 m = o * tanh(c(t))
//
// The gates take the place of gates_x, for the way back. A product (product_plain.wgsl, product_texture.wgsl) of a row for
// each utterance; four outputs are the gates of a unit, which lie side by side, i f g o.


@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (units)
@group(0) @binding(2) var<storage, read> h: array<StoredInput>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> gates: array<Stored>; // (rows, units)
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // (rows, units)
@group(0) @binding(5) var<storage, read_write> m: array<f32>; // (rows, units)

fn row_start(lane: u32) -> u32 {
  return (max(at.frame, 1u) - 1u) * step.lanes * in_vec4s + lane * in_vec4s;
}

// There is nothing before the first frame.
fn load(place: u32) -> Input {
  return select(no_input, input_of(h[place]), at.frame > 0u);
}

fn store(lane: u32, unit: u32, sum: vec4f) {
  let place = frame_row(lane) * out_vec4s + unit;
  let z = unstored(gates[place]) + bias[unit] + sum;
  let i = sigmoid(z.x);
  let f = sigmoid(z.y);
  let g = tanh_exact(z.z);
  let o = sigmoid(z.w);
  var next = i * g;
  if (at.frame > 0u) {
    next += f * c[place - step.lanes * out_vec4s];
  }
  gates[place] = stored(vec4f(i, f, g, o));
  c[place] = next;
  m[place] = o * tanh_exact(next);
}
