// Gradient of a linear layer's input: dx = dy W, or dx += dy W, all rows of a batch.
//
// A thread: four rows, four inputs. Workgroups: (ceil(in_vec4s / 32), ceil(rows / 4), 1). Sums in blocks of 64 outputs, block
// sums one after the other.

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override accumulate: bool;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // (rows, in_vec4s)

const block_vec4s = 16u;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let top = 4u * id.y;
  if (i >= in_vec4s || top >= rows()) {
    return;
  }
  let starts = min(vec4u(top, top + 1u, top + 2u, top + 3u), vec4u(rows() - 1u)) * out_vec4s;
  var total = mat4x4f();
  for (var first = 0u; first < out_vec4s; first += block_vec4s) {
    var sum = mat4x4f();
    for (var o = first; o < min(first + block_vec4s, out_vec4s); o++) {
      let w = 4u * o * in_vec4s + i;
      let w4 = mat4x4f(weight[w], weight[w + in_vec4s], weight[w + 2u * in_vec4s], weight[w + 3u * in_vec4s]);
      sum[0] += w4 * dy[starts.x + o];
      sum[1] += w4 * dy[starts.y + o];
      sum[2] += w4 * dy[starts.z + o];
      sum[3] += w4 * dy[starts.w + o];
    }
    total += sum;
  }
  for (var r = 0u; r < min(4u, rows() - top); r++) {
    let place = (top + r) * in_vec4s + i;
    if (accumulate) {
      dx[place] += total[r];
    } else {
      dx[place] = total[r];
    }
  }
}
