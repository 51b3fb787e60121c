// The threads of product_texture.wgsl, by inputs_by_quad.wgsl.
// Workgroups: (ceil(out_vec4s / 8), ceil(rows / tile), z).
//
// Needs enter, rows_of_tile, tile.

// Of a workgroup. A thread has its own texel of a row of weights and the one so many further on.
const threads = 4u;

@compute @workgroup_size(4)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(subgroup_invocation_id) subgroup_lane: u32
) {
  enter(group.z);
  rows_of_tile(group.y * tile, group.x * 2u * threads + thread.x, subgroup_lane % 4u);
}
