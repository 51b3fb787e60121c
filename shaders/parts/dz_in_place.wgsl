// On the way back through the LSTM the gradients of its gates take their place.

@group(0) @binding(4) var<storage, read_write> gates: array<vec4f>; // (rows, 4 * unit_vec4s)

fn gates_at(place: u32) -> vec4f {
  return gates[place];
}

fn put_dz(place: u32, v: vec4f) {
  gates[place] = v;
}
