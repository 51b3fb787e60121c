// How far icefall's ActivationBalancer pushes each channel. Over all places of a batch that are not padding, with p the share of
// x > 0 and m the mean of |x|:
//
//   share = relu(min - p) * mu / min + relu(p - max) * mu / (max - 1)          size = 2 mu * ([m < 0.2] - [m > max_abs])
//
// A workgroup: four channels; its 32 threads take every 32nd place each, joined by a tree. Workgroups: (row_vec4s, 1, 1).

override row_vec4s: u32; // ceil(channels / 4)
override min_positive: f32;
override max_positive: f32;
override max_abs: f32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read> lens: array<u32>; // (utterances) encoder frames
@group(0) @binding(2) var<storage, read_write> pushes: array<Push>; // (row_vec4s)

alias Partial = mat4x4f;
const min_abs = 0.2;
// 0.01, divided by the probability with which a balancer acts.
const mu = 0.01 / 0.25;

fn is_padding(row: u32) -> bool {
  let time = row / (out_freqs * step.lanes);
  let utterance = (row / out_freqs) % step.lanes;
  return time >= times_per_frame * lens[utterance] + times_extra;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let k = group.x;
  // Of each channel: places above zero, and the sum of their sizes; then the number of places.
  var sum = mat4x4f();
  for (var row = thread; row < rows(); row += threads) {
    if (!is_padding(row)) {
      let v = x[row * row_vec4s + k];
      sum[0] += select(vec4f(0.0), vec4f(1.0), v > vec4f(0.0));
      sum[1] += abs(v);
      sum[2] += vec4f(1.0);
    }
  }
  let total = total_of_threads(thread, sum);
  if (thread == 0u) {
    let p = total[0] / total[2];
    let m = total[1] / total[2];
    let few = max(min_positive - p, vec4f(0.0)) * (mu / min_positive);
    let many = max(p - max_positive, vec4f(0.0)) * (mu / (max_positive - 1.0));
    let small = select(vec4f(0.0), vec4f(2.0 * mu), m < vec4f(min_abs));
    let large = select(vec4f(0.0), vec4f(2.0 * mu), m > vec4f(max_abs));
    pushes[k] = Push(few + many, small - large);
  }
}
