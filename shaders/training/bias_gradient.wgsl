// Gradient of a bias: db += sum of dy over all rows of a batch. Where there are two biases of one sum, both get it.
//
// A workgroup: four outputs; its 32 threads take every 32nd row each, joined by a tree. Workgroups: (out_vec4s, 1, 1).

// Of one of the network's biases.
struct Sizes {
  out_vec4s: u32, // ceil(outputs / 4)
}

@group(0) @binding(10) var<uniform> sizes: Sizes;

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>; // (out_vec4s)

alias Partial = vec4f;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let o = group.x;
  let out_vec4s = sizes.out_vec4s;
  var sum = vec4f(0.0);
  let end = rows() * out_vec4s;
  for (var place = thread * out_vec4s + o; place < end; place += threads * out_vec4s) {
    sum += dy[place];
  }
  let total = total_of_threads(thread, sum);
  if (thread == 0u) {
    gradient[o] += total;
  }
}
