// A product's inputs are kept as they are.
//
// Needs Input.

alias StoredInput = Input;

fn input_of(v: StoredInput) -> Input {
  return v;
}
