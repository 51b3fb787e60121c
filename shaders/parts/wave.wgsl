// The rows of a product, where it covers one frame in each of several layers, a wave: every lane, z of the dispatch being
// the layer. Layer `at.layer + z` is at frame `at.frame - z`, so that each layer finds the frame's x left by the layer
// before in the last wave, and its own h and c. Buffers have the weights of all layers.
//
// Needs step, at.

var<private> layers_on: u32;

fn enter(z: u32) {
  layers_on = z;
}

fn rows() -> u32 {
  return step.lanes;
}

// Where a row lies among (lanes, frames).
fn element_row(own: u32) -> u32 {
  return own * step.frames + frame();
}

// Which of the matrices in a buffer, and of their vectors.
fn matrix() -> u32 {
  return layer();
}

fn layer() -> u32 {
  return at.layer + layers_on;
}

fn frame() -> u32 {
  return at.frame - layers_on;
}
