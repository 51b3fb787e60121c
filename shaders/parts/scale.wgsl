// What int8 weights are relative to: the scale of their output.
//
// Needs is_relative.

@group(0) @binding(1) var<storage, read> scale: array<vec4f>; // (matrices, out_vec4s), int8 only

fn scaled(sum: vec4f, vector: u32) -> vec4f {
  if (is_relative()) {
    return sum * scale[vector];
  }
  return sum;
}
