// Gradient of a linear layer's input: dx = dy W, or dx += dy W, all rows of a batch.
//
// A thread: four rows, four inputs. Workgroups: (ceil(in_vec4s / 32), ceil(rows / 4), 1). A product
// (rows_by_transpose.wgsl).

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override accumulate: bool;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // (rows, in_vec4s)

fn gradient_at(place: u32) -> vec4f {
  return dy[place];
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let top = 4u * id.y;
  if (i >= in_vec4s || top >= rows()) {
    return;
  }
  let total = by_transpose(top, rows() - 1u, i);
  for (var r = 0u; r < min(4u, rows() - top); r++) {
    let place = (top + r) * in_vec4s + i;
    if (accumulate) {
      dx[place] += total[r];
    } else {
      dx[place] = total[r];
    }
  }
}
