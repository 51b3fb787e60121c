// Four inputs of each of four rows, a column for each.
//
// Needs inputs_at.

fn four_at(starts: vec4u, place: u32) -> mat4x4f {
  return mat4x4f(
    inputs_at(starts.x, place),
    inputs_at(starts.y, place),
    inputs_at(starts.z, place),
    inputs_at(starts.w, place)
  );
}
