// Gradient of what a convolution's input was before its DoubleSwish. With s = sigmoid(z - 1):
//
//   dz(t, f) = (z * s * (1 - s) + s) * sum over outputs that read (t, f) of W dy
//
// Rows here are the input's, and `later` the outputs'. A thread: four channels of one place. Workgroups: threads over rows *
// out_vec4s, folded into y beyond 65535.

override out_vec4s: u32; // channels of the input
override later_vec4s: u32; // channels of the output
override later_freqs: u32;
override stride: u32;
override later_per_frame: u32;
override later_extra: u32;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * later_vec4s, 9, out_vec4s)
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // (later rows, later_vec4s)
@group(0) @binding(2) var<storage, read> z: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(3) var<storage, read_write> dz: array<vec4f>; // (rows, out_vec4s)

// The output along one axis that a tap reads from a place for, or none.
fn reader(place: u32, tap: u32, outputs: u32) -> i32 {
  let from_place = i32(place) - i32(tap);
  let output = from_place / i32(stride);
  if (from_place < 0 || output * i32(stride) != from_place || output >= i32(outputs)) {
    return -1;
  }
  return output;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * groups.x * 32u + id.x;
  let row = index / out_vec4s;
  let c = index % out_vec4s;
  if (row >= rows()) {
    return;
  }
  let f = row % out_freqs;
  let n = row / out_freqs % step.lanes;
  let t = row / out_freqs / step.lanes;
  let later_times = later_per_frame * step.frames + later_extra;
  let width = 9u * out_vec4s;
  var total = vec4f(0.0);
  for (var tap = 0u; tap < 9u; tap++) {
    let later_t = reader(t, tap / 3u, later_times);
    let later_f = reader(f, tap % 3u, later_freqs);
    if (later_t >= 0 && later_f >= 0) {
      let start = ((u32(later_t) * step.lanes + n) * later_freqs + u32(later_f)) * later_vec4s;
      var sum = vec4f(0.0);
      for (var o = 0u; o < later_vec4s; o++) {
        let w = 4u * o * width + tap * out_vec4s + c;
        let w4 = mat4x4f(weight[w], weight[w + width], weight[w + 2u * width], weight[w + 3u * width]);
        sum += w4 * dy[start + o];
      }
      total += sum;
    }
  }
  let v = z[index];
  let s = 1.0 / (1.0 + exp(min(1.0 - v, vec4f(80.0))));
  dz[index] = total * (v * s * (1.0 - s) + s);
}
