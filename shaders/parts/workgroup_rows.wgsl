// A workgroup for each row, a frame of a lane. Workgroups: (lanes * frames, 1, 1), folded into y beyond 32768.
//
// Needs step.

const rows_per_y = 32768u;

fn row_of(group: vec3u) -> u32 {
  return group.y * rows_per_y + group.x;
}

fn is_inside(row: u32) -> bool {
  return row < step.lanes * step.frames;
}
