// Sums over a parameter's elements, in parts: squares of its gradient, its own squares, and both multiplied.
//
// What pads a parameter is zero. A workgroup: 1024 vec4s, of which its 32 threads take every 32nd each, joined by a tree.
// Workgroups: (ceil(vec4s / 1024), 1, 1).

@group(0) @binding(0) var<storage, read> value: array<vec4f>; // (vec4s)
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>; // (vec4s)
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>; // (workgroups): of g^2, W^2, g * W

alias Partial = vec3f;
const group_vec4s = 1024u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let start = group.x * group_vec4s;
  let end = min(start + group_vec4s, arrayLength(&value));
  var sum = vec3f(0.0);
  for (var k = start + thread; k < end; k += threads) {
    sum += vec3f(dot(gradient[k], gradient[k]), dot(value[k], value[k]), dot(gradient[k], value[k]));
  }
  let total = total_of_threads(thread, sum);
  if (thread == 0u) {
    sums[group.x] = vec4f(total, 0.0);
  }
}
