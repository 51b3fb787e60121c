// The LSTM's output, one frame of all utterances: h = W_hr m; without a projection h = m.
//
// A thread: four outputs of up to four utterances. Workgroups: (ceil(out_vec4s / 32), ceil(utterances / 4), 1).

override in_vec4s: u32; // of m
override out_vec4s: u32; // of h
override is_projected: bool;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> m: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> h: array<vec4f>; // (rows, out_vec4s)

fn input_at(place: u32) -> vec4f {
  return m[place];
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let o = id.x;
  let top = 4u * id.y;
  if (o >= out_vec4s) {
    return;
  }
  let row = at.frame * step.lanes + top;
  let count = min(4u, step.lanes - top);
  if (!is_projected) {
    for (var r = 0u; r < count; r++) {
      h[(row + r) * out_vec4s + o] = m[(row + r) * in_vec4s + o];
    }
    return;
  }
  let total = by_matrix(row, (at.frame + 1u) * step.lanes - 1u, o);
  for (var r = 0u; r < count; r++) {
    h[(row + r) * out_vec4s + o] = total[r];
  }
}
