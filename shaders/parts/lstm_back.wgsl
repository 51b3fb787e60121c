// The way back through the LSTM's cell, of four units of an utterance in one frame. With dm the gradient of what is projected,
// and tanh(c) of this frame:
//
//   dc = dc(t + 1) * f(t + 1) + dm * o * (1 - tanh(c)^2)
//   dz = ( dc * g * i (1 - i),  dc * c(t - 1) * f (1 - f),  dc * i * (1 - g^2),  dm * tanh(c) * o (1 - o) )
//
// `carried` holds dc * f for the frame before.
//
// Needs gates_at, put_dz, tanh_exact, frame_row, unit_vec4s, step, at.

@group(0) @binding(3) var<storage, read> c: array<vec4f>; // (rows, unit_vec4s)
@group(0) @binding(5) var<storage, read_write> carried: array<vec4f>; // (utterances, unit_vec4s)

fn back(lane: u32, unit: u32, dm: vec4f) {
  let place = frame_row(lane) * unit_vec4s() + unit;
  // Rows of the four units; their columns are i, f, g, o.
  let z = transpose(
    mat4x4f(gates_at(4u * place), gates_at(4u * place + 1u), gates_at(4u * place + 2u), gates_at(4u * place + 3u))
  );
  let i = z[0];
  let f = z[1];
  let g = z[2];
  let o = z[3];
  let t = vec4f(tanh_exact(c[place].x), tanh_exact(c[place].y), tanh_exact(c[place].z), tanh_exact(c[place].w));
  var dc = dm * o * (1.0 - t * t);
  if (at.frame + 1u < step.frames) {
    dc += carried[lane * unit_vec4s() + unit];
  }
  var before = vec4f(0.0);
  if (at.frame > 0u) {
    before = c[place - step.lanes * unit_vec4s()];
  }
  carried[lane * unit_vec4s() + unit] = dc * f;
  let d = transpose(
    mat4x4f(dc * g * i * (1.0 - i), dc * before * f * (1.0 - f), dc * i * (1.0 - g * g), dm * t * o * (1.0 - o))
  );
  for (var u = 0u; u < 4u; u++) {
    put_dz(4u * place + u, d[u]);
  }
}
