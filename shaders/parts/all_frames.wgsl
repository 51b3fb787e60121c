// The rows of a product, where it covers all frames of a step at once: every frame of every lane, in one layer.
//
// Needs step.

fn enter(z: u32) {
}

fn rows() -> u32 {
  return step.lanes * step.frames;
}

// Where a row lies among (lanes, frames).
fn element_row(own: u32) -> u32 {
  return own;
}

// Which of the matrices in a buffer, and of their vectors.
fn matrix() -> u32 {
  return 0u;
}
