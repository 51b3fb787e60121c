// Weights in a storage buffer, packed as their dtype says. They lie in columns of eight vec4s of outputs: for each input,
// neighbouring threads read neighbouring vec4s, and input follows upon input, so that memory is read in order.
//
// Needs packed_at, matrix, weight_bits, in_vec4s, out_vec4s.

fn matrix_start() -> u32 {
  return matrix() * ((((out_vec4s + 7u) >> 3u) * in_vec4s * weight_bits + 15u) / 16u * 16u);
}

// Four inputs' weights for four outputs, a column for each input: as they are in f32, two inputs to a vec4 in f16, four
// in int8.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  // Four inputs of a column of eight are weight_bits / 8 parts of eight vec4s.
  let w = matrix_start() + ((o >> 3u) * in_vec4s + k) * weight_bits + (o & 7u);
  if (weight_bits == 32u) {
    return mat4x4f(
      bitcast<vec4f>(packed_at(w)),
      bitcast<vec4f>(packed_at(w + 8u)),
      bitcast<vec4f>(packed_at(w + 16u)),
      bitcast<vec4f>(packed_at(w + 24u))
    );
  }
  if (weight_bits == 16u) {
    let low = packed_at(w);
    let high = packed_at(w + 8u);
    return mat4x4f(
      vec4f(unpack2x16float(low.x), unpack2x16float(low.y)),
      vec4f(unpack2x16float(low.z), unpack2x16float(low.w)),
      vec4f(unpack2x16float(high.x), unpack2x16float(high.y)),
      vec4f(unpack2x16float(high.z), unpack2x16float(high.w))
    );
  }
  let q = packed_at(w);
  return mat4x4f(unpack4x8snorm(q.x), unpack4x8snorm(q.y), unpack4x8snorm(q.z), unpack4x8snorm(q.w));
}
