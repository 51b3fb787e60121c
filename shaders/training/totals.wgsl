// What each parameter adds to the norm of all gradients, its own size, and the gradient of its log-scale. With dW the gradient
// of W = w * e^s:
//
//   dw = dW * e^s          ds = sum of dW * W          rms(w) = rms(W) / e^s
//
// A workgroup: a parameter; its 32 threads take every 32nd sum each, joined by a tree. Workgroups: (parameters, 1, 1).

@group(0) @binding(0) var<storage, read> sums: array<vec4f>; // (sums of squares.wgsl)
@group(0) @binding(1) var<storage, read> parameters: array<Parameter>; // (parameters)
@group(0) @binding(2) var<storage, read> scales: array<Scale>; // (parameters)
@group(0) @binding(3) var<storage, read_write> totals: array<Total>; // (parameters)

alias Partial = vec4f;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let start = parameters[group.x].first_sum;
  let end = start + parameters[group.x].sums;
  var sum = vec4f(0.0);
  for (var k = start + thread; k < end; k += threads) {
    sum += sums[k];
  }
  let total = total_of_threads(thread, sum);
  if (thread > 0u) {
    return;
  }
  var scale = 1.0;
  var squares = total.x;
  if (parameters[group.x].is_scaled > 0u) {
    scale = exp(scales[group.x].value);
    squares = total.x * scale * scale + total.z * total.z;
  }
  let rms = sqrt(total.y / f32(parameters[group.x].elements)) / scale;
  totals[group.x] = Total(squares, rms, total.z, scale, scale);
}
