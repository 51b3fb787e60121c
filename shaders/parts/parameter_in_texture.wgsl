// A parameter's matrix, as it is trained, in a texture of rgba32float: for software adapters, where a sampled texel takes
// half to a third of the time of a vec4 from a buffer (matrix_in_texture.wgsl).
//
// Needs matrix_rows, matrix_columns.

@group(0) @binding(0) var weight: texture_2d<f32>; // matrix_rows rows of matrix_columns texels
@group(0) @binding(9) var nearest: sampler;

// What part of the texture a texel is, across and down. Each division counts where there is one for each texel.
var<private> texel: vec2f;

fn enter_matrix() {
  texel = 1.0 / vec2f(f32(matrix_columns()), f32(matrix_rows()));
}

// Asked for by its middle.
fn weight_vec4(row: u32, column: u32) -> vec4f {
  let place = (vec2f(f32(column), f32(row)) + 0.5) * texel;
  return textureSampleLevel(weight, nearest, place, 0.0);
}
