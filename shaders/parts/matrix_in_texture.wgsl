// A matrix in a texture, four outputs to a texel; its format unpacks the weights (rgba32float, rgba16float, rgba8snorm).
//
// For software adapters: there a sampled texel takes half to a third of the time of a vec4 from a buffer (on SwiftShader
// also half that of textureLoad, which asks for the texture's size each time), and the weights of a thread's neighbours lie
// next to its own, in memory as well.
//
// Needs is_relative, in_vec4s, out_vec4s.

// (ceil(out_vec4s / 8), ceil(in_vec4s / 16)) rows of (64, 8) texels: inputs, vec4s of outputs
@group(0) @binding(0) var weight: texture_2d<f32>;
@group(0) @binding(9) var nearest: sampler;

// In int8 by way of the byte itself: samplers may round its fraction otherwise than unpack4x8snorm does.
fn texel(place: vec2f) -> vec4f {
  let texel_weights = textureSampleLevel(weight, nearest, place, 0.0);
  if (is_relative()) {
    return unpack4x8snorm(pack4x8snorm(texel_weights));
  }
  return texel_weights;
}

// Four inputs' weights for four outputs, a column for each input: texels, asked for by their middles. Shifts, since
// SwiftShader divides integers one by one.
fn weights_at(k: u32, o: u32) -> mat4x4f {
  let blocks = (in_vec4s + 15u) >> 4u;
  let texture_rows = ((out_vec4s + 7u) >> 3u) * blocks;
  let across = (f32(((k & 15u) << 5u) + (o & 7u)) + vec4f(0.5, 8.5, 16.5, 24.5)) / 512.0;
  let down = (f32((o >> 3u) * blocks + (k >> 4u)) + 0.5) / f32(texture_rows);
  return mat4x4f(
    texel(vec2f(across.x, down)),
    texel(vec2f(across.y, down)),
    texel(vec2f(across.z, down)),
    texel(vec2f(across.w, down))
  );
}
