// basic_norm.wgsl by a workgroup for each row: each thread sums every 32nd vec4, then a tree adds the 32 partial sums.
//
// Needs row_of, is_inside, sum_of_threads, threads, row_vec4s, squares_of, factor, x.

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let vec4s = select(0u, row_vec4s(), is_inside(row));
  let start = row * row_vec4s();

  var sum = 0.0;
  for (var k = thread; k < vec4s; k += threads) {
    sum += squares_of(start + k);
  }
  let scale = factor(sum_of_threads(thread, sum));
  for (var k = thread; k < vec4s; k += threads) {
    x[start + k] *= scale;
  }
}
