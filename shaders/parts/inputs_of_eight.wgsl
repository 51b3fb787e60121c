// The threads of weight_gradient.wgsl where eight run at a time, as on a processor that emulates a GPU: each has a large tile.
//
// Needs outputs_and_inputs, tile.

const threads = 8u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  outputs_and_inputs(group.y * tile, group.x * tile * threads + thread, 0u);
}
