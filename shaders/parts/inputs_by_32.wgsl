// The threads of weight_gradient.wgsl: 32 neighbouring vec4s of inputs in a workgroup.
//
// Needs outputs_and_inputs, tile.

const threads = 32u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  outputs_and_inputs(group.y * tile, group.x * tile * threads + thread, 0u);
}
