// BasicNorm in place, over all frames of a step (encoder_embed.out_norm, norm_final of a layer):
//
//   x *= (mean(x^2) + eps) ^ (-1/2)          eps is exp() of the stored, learned logarithm
//
// Order of summation: 32 partial sums, each of every 32nd vec4, then a tree: fixed by the width alone.

override width: u32; // elements of a row; the padding to vec4 is zero and adds nothing

@group(0) @binding(0) var<storage, read> eps: array<f32>; // (1)
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>; // (lanes * frames, ceil(width / 4))

fn row_vec4s() -> u32 {
  return (width + 3u) / 4u;
}

fn squares_of(place: u32) -> f32 {
  let v = x[place];
  return dot(v, v);
}

fn factor(sum: f32) -> f32 {
  return inverseSqrt(sum / f32(width) + eps[0]);
}
