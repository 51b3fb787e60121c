// The inputs of a product, four at a time.
//
// Needs rows, row_start, load.

alias Input = vec4f;

const no_input = vec4f(0.0);

fn inputs_at(start: u32, place: u32) -> vec4f {
  return load(start + place);
}

// Where a row starts in the inputs; rows past the end repeat the last one and are not written.
fn start_of(row: u32) -> u32 {
  return row_start(min(row, rows() - 1u));
}
