// What the gates of an LSTM's unit do to its cell state, and the cell output:
//
//   c = f * c + i * g                         i, f, o through sigmoid, g through tanh
//   m = o * tanh(c)
//
// Needs sigmoid, tanh_exact, state_row, out_vec4s.

@group(0) @binding(5) var<storage, read_write> c: array<f32>; // (slots, layers, out_vec4s): a vec4 of gates is a unit

// Changes c and gives m; the gates are i, f, g, o.
fn cell_output(lane: u32, unit: u32, gates: vec4f) -> f32 {
  let kept = sigmoid(gates.y) * c[state_row(lane) * out_vec4s + unit];
  let next = fma(sigmoid(gates.x), tanh_exact(gates.z), kept);
  c[state_row(lane) * out_vec4s + unit] = next;
  return sigmoid(gates.w) * tanh_exact(next);
}
