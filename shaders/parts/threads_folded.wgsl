// The threads of product_plain.wgsl, where there are few outputs and many rows: both in x, outputs first.
// Workgroups: (ceil(ceil(rows / tile) * out_vec4s / 32), 1, z).
//
// Needs enter, rows_of_tile, tile, out_vec4s.

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  enter(id.z);
  rows_of_tile(id.x / out_vec4s * tile, id.x % out_vec4s);
}
