// Whose state of an LSTM a lane changes. Lanes that have no frame `frame()` any more keep theirs.
//
// Needs lanes, layer, frame.

override layers: u32;

fn has_frame(own: u32) -> bool {
  return frame() < lanes[own].frames;
}

// Of the lane's slot and the layer among (slots, layers).
fn state_row(own: u32) -> u32 {
  return lanes[own].slot * layers + layer();
}
