// The rows of a product in training, where it covers one frame: a row for each utterance, which lie side by side
// (training_rows.wgsl).
//
// Needs step, at.

fn rows() -> u32 {
  return step.lanes;
}

// The batch's row of an utterance in this frame.
fn frame_row(lane: u32) -> u32 {
  return at.frame * step.lanes + lane;
}
