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

const block_vec4s = 16u;

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
    let last = at.frame * step.lanes - 1u;
    let before = row - step.lanes;
    let starts = min(vec4u(before, before + 1u, before + 2u, before + 3u), vec4u(last)) * in_vec4s;
    let w = vec4u(4u * unit, 4u * unit + 1u, 4u * unit + 2u, 4u * unit + 3u) * in_vec4s;
    for (var first = 0u; first < in_vec4s; first += block_vec4s) {
      var sum = mat4x4f();
      for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
        let w4 = mat4x4f(weight[w.x + k], weight[w.y + k], weight[w.z + k], weight[w.w + k]);
        sum[0] += h[starts.x + k] * w4;
        sum[1] += h[starts.y + k] * w4;
        sum[2] += h[starts.z + k] * w4;
        sum[3] += h[starts.w + k] * w4;
      }
      total += sum;
    }
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
