// The rows of a product, where it covers one frame: every lane, in one layer.
//
// Needs step, at.

fn enter(z: u32) {
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
  return 0u;
}

fn layer() -> u32 {
  return at.layer;
}

fn frame() -> u32 {
  return at.frame;
}
