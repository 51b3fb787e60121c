// On the way back through the LSTM's cell, one frame of all utterances. With dm = W_hr^T dh, or dh without a projection, and
// tanh(c) of this frame:
//
//   dc = dc(t + 1) * f(t + 1) + dm * o * (1 - tanh(c)^2)
//   dz = ( dc * g * i (1 - i),  dc * c(t - 1) * f (1 - f),  dc * i * (1 - g^2),  dm * tanh(c) * o (1 - o) )
//
// dz takes the place of the gates; `carried` holds dc * f for the frame before. A thread: four units of up to four
// utterances. Workgroups: (ceil(in_vec4s / 32), ceil(utterances / 4), 1).

override out_vec4s: u32; // of h
override in_vec4s: u32; // of m, the units
override is_projected: bool;

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * out_vec4s, in_vec4s)
@group(0) @binding(1) var<storage, read> dh: array<vec4f>; // (rows, out_vec4s)
@group(0) @binding(2) var<storage, read> c: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> gates: array<vec4f>; // (rows, 4 * in_vec4s)
@group(0) @binding(4) var<storage, read_write> carried: array<vec4f>; // (utterances, in_vec4s)

fn gradient_at(place: u32) -> vec4f {
  return dh[place];
}

fn back(row: u32, lane: u32, unit: u32, dm: vec4f) {
  let place = row * in_vec4s + unit;
  // Rows of the four units; their columns are i, f, g, o.
  let z = transpose(mat4x4f(gates[4u * place], gates[4u * place + 1u], gates[4u * place + 2u], gates[4u * place + 3u]));
  let i = z[0];
  let f = z[1];
  let g = z[2];
  let o = z[3];
  let t = vec4f(tanh_exact(c[place].x), tanh_exact(c[place].y), tanh_exact(c[place].z), tanh_exact(c[place].w));
  var dc = dm * o * (1.0 - t * t);
  if (at.frame + 1u < step.frames) {
    dc += carried[lane * in_vec4s + unit];
  }
  var before = vec4f(0.0);
  if (at.frame > 0u) {
    before = c[place - step.lanes * in_vec4s];
  }
  carried[lane * in_vec4s + unit] = dc * f;
  let dz = transpose(
    mat4x4f(dc * g * i * (1.0 - i), dc * before * f * (1.0 - f), dc * i * (1.0 - g * g), dm * t * o * (1.0 - o))
  );
  for (var u = 0u; u < 4u; u++) {
    gates[4u * place + u] = dz[u];
  }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let top = 4u * id.y;
  if (unit >= in_vec4s) {
    return;
  }
  let row = at.frame * step.lanes + top;
  let count = min(4u, step.lanes - top);
  if (!is_projected) {
    for (var r = 0u; r < count; r++) {
      back(row + r, top + r, unit, dh[(row + r) * out_vec4s + unit]);
    }
    return;
  }
  let total = by_transpose(row, (at.frame + 1u) * step.lanes - 1u, unit);
  for (var r = 0u; r < count; r++) {
    back(row + r, top + r, unit, total[r]);
  }
}
