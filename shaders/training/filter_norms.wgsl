// Sizes of the utterances' gradients, for icefall's GradientFilter: n = sqrt(sum of dx^2). icefall has the mean in place of the
// sum, over frames that are as many for all utterances: the filter knows ratios alone. What pads has no gradient.
//
// A workgroup: an utterance; its 32 threads take every 32nd vec4 each, joined by a tree. Workgroups: (utterances, 1, 1).

override row_vec4s: u32;

@group(0) @binding(0) var<storage, read> dx: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> norms: array<f32>; // (utterances)

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var place = thread; place < step.frames * row_vec4s; place += threads) {
    let row = (place / row_vec4s) * step.lanes + group.x;
    let d = dx[row * row_vec4s + place % row_vec4s];
    sum += dot(d, d);
  }
  let squares = sum_of_threads(thread, sum);
  if (thread == 0u) {
    norms[group.x] = sqrt(squares);
  }
}
