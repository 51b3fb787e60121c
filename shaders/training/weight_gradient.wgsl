// Gradient of a matrix: dW += dy^T x, summed over all rows of a batch. Of a recurrence x is the frame before.
//
// A thread: four outputs, four inputs. Workgroups: (ceil(in_vec4s / 32), out_vec4s, 1). Sums in blocks of 64 rows, block sums
// one after the other; rows beyond the utterances' ends add zeros at the end, so that padding changes nothing.

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override is_delayed: bool;

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4f>; // (4 * out_vec4s, in_vec4s)

const block_rows = 64u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let o = id.y;
  if (i >= in_vec4s) {
    return;
  }
  let delay = select(0u, step.lanes, is_delayed);
  var total = mat4x4f();
  for (var first = delay; first < rows(); first += block_rows) {
    var sum = mat4x4f();
    for (var row = first; row < min(first + block_rows, rows()); row++) {
      let d = dy[row * out_vec4s + o];
      let v = x[(row - delay) * in_vec4s + i];
      sum[0] += d.x * v;
      sum[1] += d.y * v;
      sum[2] += d.z * v;
      sum[3] += d.w * v;
    }
    total += sum;
  }
  for (var j = 0u; j < 4u; j++) {
    gradient[(4u * o + j) * in_vec4s + i] += total[j];
  }
}
