// Sums of squares of a parameter and of its gradient, for the norm of all gradients and the parameter's own size.
//
// What pads a parameter is zero. A workgroup: 1024 vec4s, of which its 32 threads take every 32nd each, joined by a tree.
// Workgroups: (ceil(vec4s / 1024), 1, 1).

@group(0) @binding(0) var<storage, read> value: array<vec4f>; // (vec4s)
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>; // (vec4s)
@group(0) @binding(2) var<storage, read_write> sums: array<vec2f>; // (workgroups): of the gradient, of the value

alias Partial = vec2f;
const group_vec4s = 1024u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let start = group.x * group_vec4s;
  let end = min(start + group_vec4s, arrayLength(&value));
  var sum = vec2f(0.0);
  for (var k = start + thread; k < end; k += threads) {
    sum += vec2f(dot(gradient[k], gradient[k]), dot(value[k], value[k]));
  }
  let total = total_of_threads(thread, sum);
  if (thread == 0u) {
    sums[group.x] = total;
  }
}
