// The inputs of a product, shared among the four invocations of a quad, each of which loads one. On SwiftShader, where a
// quad is what the processor runs at a time, a load for four takes a quarter of four loads. The device must have the
// feature `subgroups`.
//
// Needs rows, row_start, load.
enable subgroups;

alias Input = f32;

const no_input = 0.0;

fn inputs_at(start: u32, place: u32) -> vec4f {
  let own = load(start + 4u * place);
  return vec4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

// Where a row starts in the inputs; rows past the end repeat the last one and are not written.
fn start_of(row: u32) -> u32 {
  return 4u * row_start(min(row, rows() - 1u));
}
