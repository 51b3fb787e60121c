// Linear layer, all rows of a batch: y = x W^T + b.
//
// A thread: four rows, four outputs. Workgroups: (ceil(out_vec4s / 32), ceil(rows / 4), 1). A
// product (rows_by_matrix.wgsl).

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // (rows, out_vec4s)

fn input_at(place: u32) -> vec4f {
  return x[place];
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let o = id.x;
  let top = 4u * id.y;
  if (o >= out_vec4s || top >= rows()) {
    return;
  }
  let total = by_matrix(top, rows() - 1u, o);
  for (var r = 0u; r < min(4u, rows() - top); r++) {
    y[(top + r) * out_vec4s + o] = bias[o] + total[r];
  }
}
