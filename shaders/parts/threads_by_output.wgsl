// The threads of product_plain.wgsl, where there are many outputs: 32 neighbouring ones in a workgroup.
// Workgroups: (ceil(out_vec4s / 32), ceil(rows / tile), 1).
//
// Needs enter, rows_of_tile, tile.

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  enter(id.z);
  rows_of_tile(id.y * tile, id.x);
}
