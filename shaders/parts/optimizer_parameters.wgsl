// What an optimizer knows of each parameter from the start, and the log-scale of each that has one.

struct Parameter {
  elements: u32, // without what pads
  relative_rate: f32, // that the learning rate is multiplied by
  scale_rate: f32, // the same, of its scale
  is_scaled: u32,
  first_sum: u32, // of squares.wgsl's
  sums: u32,
}

struct Scale {
  value: f32, // s
  first_moment: f32,
  second_moment: f32,
}
