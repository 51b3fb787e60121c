// Where four neighbouring rows start in the inputs.
//
// Needs start_of.

fn four_starts(row: u32) -> vec4u {
  return vec4u(start_of(row), start_of(row + 1u), start_of(row + 2u), start_of(row + 3u));
}
