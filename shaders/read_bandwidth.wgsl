// Reads a whole buffer and does next to nothing else: the adapter's own read bandwidth, which benchmarks
// measure beside the network in the same run. Each workgroup reads its part of the buffer in order, as the kernels over
// matrices read theirs.
//
//   sums[32 g + t] = sum of the vec4s t, t + 32, t + 64, … of the part of workgroup g
//
// One thread: every 32nd vec4 of its workgroup's part, four loads at a time.
// Workgroups: (parts, 1, 1). The number of vec4s must be a multiple of 128 * parts.

override part_vec4s: u32; // a multiple of 128

@group(0) @binding(0) var<storage, read> values: array<vec4f>; // (parts, part_vec4s)
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>; // (parts, 32)

const threads = 32u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let start = group.x * part_vec4s + thread.x;
  var sum = vec4f(0.0);
  for (var k = start; k < start + part_vec4s; k += 4u * threads) {
    sum += values[k] + values[k + threads] + values[k + 2u * threads] + values[k + 3u * threads];
  }
  sums[group.x * threads + thread.x] = sum;
}
