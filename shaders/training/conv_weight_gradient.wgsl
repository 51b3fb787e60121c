// Gradient of a convolution's weights: dW(o, tap, c) += sum of dy(o) * x(c) at the tap, over all places of a batch.
//
// A workgroup: four outputs and four inputs of a tap; its 32 threads take every 32nd place each, joined by a tree.
// Workgroups: (9 * in_vec4s, out_vec4s, 1).

override in_vec4s: u32; // channels of the input
override out_vec4s: u32; // channels

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // (input rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>; // (4 * out_vec4s, 9, in_vec4s)

alias Partial = vec4f;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tap = group.x / in_vec4s;
  let c = group.x % in_vec4s;
  let o = group.y;
  var sum = mat4x4f();
  for (var row = thread; row < rows(); row += threads) {
    let d = dy[row * out_vec4s + o];
    let v = x[tap_row(row, tap) * in_vec4s + c];
    sum[0] += d.x * v;
    sum[1] += d.y * v;
    sum[2] += d.z * v;
    sum[3] += d.w * v;
  }
  // One output after the other: joining all at once is much code, which takes its time to compile.
  for (var k = 0u; k < 4u; k++) {
    let total = total_of_threads(thread, sum[k]);
    if (thread == 0u) {
      gradient[(4u * o + k) * 9u * in_vec4s + group.x] += total;
    }
    workgroupBarrier();
  }
}
