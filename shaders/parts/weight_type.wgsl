// What weights are stored as.

override weight_bits: u32; // 32 (f32), 16 (f16) or 8 (int8)

// Whether they are relative to the scale of their output.
fn is_relative() -> bool {
  return weight_bits == 8u;
}
