// A workgroup goes over a row: its 32 threads take every 32nd vec4 each, and do with it what the operation says.
//
// Needs each_vec4, is_inside, row_of.

override row_vec4s: u32;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let count = select(0u, row_vec4s, is_inside(row));
  for (var k = thread; k < count; k += 32u) {
    each_vec4(row, k, row * row_vec4s + k);
  }
}
