// Four inputs times their weights, added to a sum. Weights are a column for each output, so that four products are added to
// one another first.

fn multiply_add(w: mat4x4f, v: vec4f, sum: vec4f) -> vec4f {
  return sum + v * w;
}

// The same for four rows, a column for each.
fn multiply_add_four(w: mat4x4f, v: mat4x4f, sum: mat4x4f) -> mat4x4f {
  return mat4x4f(sum[0] + v[0] * w, sum[1] + v[1] * w, sum[2] + v[2] * w, sum[3] + v[3] * w);
}
