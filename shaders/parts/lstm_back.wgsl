// The way back through the LSTM's cell, of four units of an utterance in one frame. With dm the gradient of what is projected,
// and tanh(c) of this frame:
//
//   dc = dc(t + 1) * f(t + 1) + dm * o * (1 - tanh(c)^2)
//   dz = ( dc * g * i (1 - i),  dc * c(t - 1) * f (1 - f),  dc * i * (1 - g^2),  dm * tanh(c) * o (1 - o) )
//
// `carried` holds dc * f for the frame before. Units take their turns in a loop: loads and stores of four at once are much
// code, which takes its time to compile.
//
// Needs gates_at, put_dz, tanh_exact, frame_row, unit_vec4s, step, at.

@group(0) @binding(3) var<storage, read> c: array<f32>; // (rows, 4 * unit_vec4s)
@group(0) @binding(5) var<storage, read_write> carried: array<f32>; // (utterances, 4 * unit_vec4s)

fn back(lane: u32, unit: u32, dm: vec4f) {
  for (var u = 0u; u < 4u; u++) {
    back_of_one(lane, 4u * unit + u, dm[u]);
  }
}

fn back_of_one(lane: u32, unit: u32, dm: f32) {
  let units = 4u * unit_vec4s();
  let place = frame_row(lane) * units + unit;
  let z = gates_at(place);
  let i = z.x;
  let f = z.y;
  let g = z.z;
  let o = z.w;
  let t = tanh_exact(c[place]);
  var dc = dm * o * (1.0 - t * t);
  if (at.frame + 1u < step.frames) {
    dc += carried[lane * units + unit];
  }
  var before = 0.0;
  if (at.frame > 0u) {
    before = c[place - step.lanes * units];
  }
  carried[lane * units + unit] = dc * f;
  put_dz(place, vec4f(dc * g * i * (1.0 - i), dc * before * f * (1.0 - f), dc * i * (1.0 - g * g), dm * t * o * (1.0 - o)));
}
