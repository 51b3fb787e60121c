// A product by the sums of sums_split.wgsl.
// Workgroups: (ceil(out_vec4s / 8), ceil(rows / tile), z).
//
// Needs enter, sums_of_tile, rows, store, tile, outputs, out_vec4s.

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  enter(group.z);
  let o = group.x * outputs + thread.x;
  let top = group.y * tile;
  let total = sums_of_tile(top, min(o, out_vec4s - 1u), thread.x, thread.y);
  let row = top + thread.y;
  if (thread.y < tile && row < rows() && o < out_vec4s) {
    store(row, o, total);
  }
}
