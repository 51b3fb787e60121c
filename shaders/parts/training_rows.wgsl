// Rows of a batch in training: the frames of its utterances, those of one frame beside each other, so that a frame of the
// recurrence is one block. Row of frame t, utterance n: t * step.lanes + n. Rows beyond an utterance's end hold finite
// numbers, and gradients that are zero.
//
// Needs step.

fn rows() -> u32 {
  return step.lanes * step.frames;
}
