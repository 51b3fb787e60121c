// A 3x3 convolution with DoubleSwish, over a batch: z = W x + b, y = z * sigmoid(z - 1). Channels lie innermost.
//
// A thread: four channels of one place. Workgroups: threads over rows * out_vec4s, folded into y beyond 65535.

override in_vec4s: u32; // channels of the input
override out_vec4s: u32; // channels

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, 9, in_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (input rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> z: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (rows, out_vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * groups.x * 32u + id.x;
  let row = index / out_vec4s;
  let o = index % out_vec4s;
  if (row >= rows()) {
    return;
  }
  var total = bias[o];
  let width = 9u * in_vec4s;
  for (var tap = 0u; tap < 9u; tap++) {
    let start = tap_row(row, tap) * in_vec4s;
    let w = 4u * o * width + tap * in_vec4s;
    var sum = vec4f(0.0);
    for (var k = 0u; k < in_vec4s; k++) {
      let w4 = mat4x4f(weight[w + k], weight[w + width + k], weight[w + 2u * width + k], weight[w + 3u * width + k]);
      sum += x[start + k] * w4;
    }
    total += sum;
  }
  z[index] = total;
  y[index] = double_swish(total);
}
