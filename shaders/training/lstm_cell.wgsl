// The LSTM's cell, one frame of all utterances, from zero states:
//
//   z = gates_x + b_hh + W_hh h(t - 1)          i, f, o = sigmoid(z), g = tanh(z)
//   c(t) = f * c(t - 1) + i * g                 m = o * tanh(c(t))
//
// The gates take the place of gates_x, for the way back. A thread: a unit of up to four utterances; the gates of a unit lie
// side by side, i f g o. Workgroups: (ceil(units / 32), ceil(utterances / 4), 1).

override in_vec4s: u32; // of h
override units: u32; // padded to whole vec4s

@group(0) @binding(0) var<storage, read> weight: array<vec4f>; // (4 * units, in_vec4s)
@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (units)
@group(0) @binding(2) var<storage, read> h: array<vec4f>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> gates: array<vec4f>; // (rows, units)
@group(0) @binding(4) var<storage, read_write> c: array<f32>; // (rows, units)
@group(0) @binding(5) var<storage, read_write> m: array<f32>; // (rows, units)

fn input_at(place: u32) -> vec4f {
  return h[place];
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let top = 4u * id.y;
  if (unit >= units) {
    return;
  }
  let row = at.frame * step.lanes + top;
  var total = mat4x4f();
  if (at.frame > 0u) {
    total = by_matrix(row - step.lanes, at.frame * step.lanes - 1u, unit);
  }
  for (var r = 0u; r < min(4u, step.lanes - top); r++) {
    let place = (row + r) * units + unit;
    let z = gates[place] + bias[unit] + total[r];
    let i = sigmoid(z.x);
    let f = sigmoid(z.y);
    let g = tanh_exact(z.z);
    let o = sigmoid(z.w);
    var next = i * g;
    if (at.frame > 0u) {
      next += f * c[place - step.lanes * units];
    }
    gates[place] = vec4f(i, f, g, o);
    c[place] = next;
    m[place] = o * tanh_exact(next);
  }
}
