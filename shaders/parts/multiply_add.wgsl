// Four inputs times their weights, added to a sum: the order of every sum over inputs.

// For four outputs, a column of weights for each input.
fn multiply_add(w: mat4x4f, v: vec4f, sum: vec4f) -> vec4f {
  return fma(vec4f(v.w), w[3], fma(vec4f(v.z), w[2], fma(vec4f(v.y), w[1], fma(vec4f(v.x), w[0], sum))));
}

// The same for four rows, a column for each.
fn multiply_add_four(w: mat4x4f, v: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(
    multiply_add(w, v[0], sum[0]),
    multiply_add(w, v[1], sum[1]),
    multiply_add(w, v[2], sum[2]),
    multiply_add(w, v[3], sum[3])
  );
}
