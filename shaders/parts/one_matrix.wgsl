// A product that is compiled for its matrix: as many vec4s as it says are summed over.
//
// Needs in_vec4s.

fn summed_vec4s() -> u32 {
  return in_vec4s;
}
