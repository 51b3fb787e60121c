// Sizes of a product in training. A network has many; a uniform block tells which one it is, so that a kernel is compiled once
// for all of them. A thread takes them from there at its start.
//
// Needs enter_matrix.

struct Sizes {
  in_vec4s: u32, // what is summed over: ceil(inputs / 4), on the way back of what the output's gradient has
  out_vec4s: u32, // what comes out
  accumulate: u32, // whether input_gradient.wgsl adds to what is there
}

@group(0) @binding(10) var<uniform> sizes: Sizes;

var<private> in_vec4s: u32;
var<private> out_vec4s: u32;

// As it stands in the block, which all threads of a kernel know to be the same for all.
fn summed_vec4s() -> u32 {
  return sizes.in_vec4s;
}

fn enter(z: u32) {
  in_vec4s = sizes.in_vec4s;
  out_vec4s = sizes.out_vec4s;
  enter_matrix();
}
