// A product's inputs are kept in f16, four by four.
//
// Needs Input, unstored.

alias StoredInput = vec2u;

fn input_of(v: StoredInput) -> Input {
  return unstored(v);
}
