// Who is in a step.

struct Lane {
  slot: u32,
  frames: u32, // encoder frames of this lane, 1 ..= step.frames
}

@group(0) @binding(7) var<storage, read> lanes: array<Lane>; // (lanes)
