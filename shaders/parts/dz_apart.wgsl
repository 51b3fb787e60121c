// On the way back through the LSTM its gates stay as they are kept, and their gradients have a place of their own.
//
// Needs Stored, unstored.

@group(0) @binding(4) var<storage, read> gates: array<Stored>; // (rows, 4 * unit_vec4s)
@group(0) @binding(6) var<storage, read_write> dz: array<vec4f>; // (rows, 4 * unit_vec4s)

fn gates_at(place: u32) -> vec4f {
  return unstored(gates[place]);
}

fn put_dz(place: u32, v: vec4f) {
  dz[place] = v;
}
