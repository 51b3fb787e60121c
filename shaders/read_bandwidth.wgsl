// Reads a whole buffer and does next to nothing else: the adapter's own read bandwidth, which benchmarks
// measure beside the network in the same run.
//
//   sums[thread] = sum of the vec4s thread, thread + threads, thread + 2 threads, …
//
// One thread: every `threads`-th vec4, four loads at a time.
// Workgroups: (threads / 32, 1, 1). The number of vec4s must be a multiple of 4 * threads.

override threads: u32;

@group(0) @binding(0) var<storage, read> values: array<vec4f>; // (a multiple of 4 * threads)
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>; // (threads)

@compute @workgroup_size(32)
fn read_bandwidth(@builtin(global_invocation_id) id: vec3u) {
  var sum = vec4f(0.0);
  for (var k = id.x; k < arrayLength(&values); k += 4u * threads) {
    sum += values[k] + values[k + threads] + values[k + 2u * threads] + values[k + 3u * threads];
  }
  sums[id.x] = sum;
}
