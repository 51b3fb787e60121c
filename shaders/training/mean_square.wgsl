// Mean square of what is wanted less what is there, and its gradient; for benchmarks of single layers:
//
//   loss = sum of (y - wanted)^2 / (rows * width), of which each row gives its own part          dy = 2 (y - wanted) / (rows * width)
//
// A workgroup: a row. Workgroups: (rows, 1, 1), folded into y beyond 32768.

override width: u32; // elements of a row; what pads it is zero in both

@group(0) @binding(0) var<storage, read> y: array<vec4f>; // (rows, ceil(width / 4))
@group(0) @binding(1) var<storage, read> wanted: array<vec4f>; // (rows, ceil(width / 4))
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>; // (rows, ceil(width / 4))
@group(0) @binding(3) var<storage, read_write> losses: array<f32>; // (rows)

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = row_of(group);
  let row_vec4s = (width + 3u) / 4u;
  let count = select(0u, row_vec4s, is_inside(row));
  let elements = f32(step.lanes * step.frames * width);
  var squares = 0.0;
  for (var k = row * row_vec4s + thread; k < row * row_vec4s + count; k += threads) {
    let difference = y[k] - wanted[k];
    squares += dot(difference, difference);
    dy[k] = 2.0 / elements * difference;
  }
  let sum = sum_of_threads(thread, squares);
  if (thread == 0u && is_inside(row)) {
    losses[row] = sum / elements;
  }
}
