// Gradient of what the joiner adds (join.wgsl): dx = sum of dy * (1 - y^2), for a frame over its positions, or for a position
// over its frames, in their order.

override over_frames: bool; // rows are the decoder's, else the encoder's

@group(0) @binding(0) var<storage, read> y: array<vec4f>; // (lattice rows, row_vec4s)
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // (lattice rows, row_vec4s)
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  let first = select(row * lattice.positions, row, over_frames);
  let stride = select(1u, step.lanes, over_frames);
  let count = select(lattice.positions, lattice.frames, over_frames);
  var sum = vec4f(0.0);
  for (var i = 0u; i < count; i++) {
    let v = y[(first + i * stride) * row_vec4s + k];
    sum += dy[(first + i * stride) * row_vec4s + k] * (1.0 - v * v);
  }
  dx[place] = sum;
}
