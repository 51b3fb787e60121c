// Gradient of a bias: db += sum of dy over all rows of a batch. Where there are two biases of one sum, both get it.
//
// A workgroup: four outputs; its 32 threads take every 32nd row each, joined by a tree. Workgroups: (out_vec4s, 1, 1).

override out_vec4s: u32; // ceil(outputs / 4)

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>; // (out_vec4s)

alias Partial = vec4f;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let o = group.x;
  var sum = vec4f(0.0);
  for (var row = thread; row < rows(); row += threads) {
    sum += dy[row * out_vec4s + o];
  }
  let total = total_of_threads(thread, sum);
  if (thread == 0u) {
    gradient[o] += total;
  }
}
