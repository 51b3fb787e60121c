// The threads of weight_gradient.wgsl, by inputs_by_quad.wgsl.
//
// Needs outputs_and_inputs, tile.

const threads = 4u;

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  outputs_and_inputs(group.y * tile, group.x * tile * threads + thread, subgroup_lane % 4u);
}
