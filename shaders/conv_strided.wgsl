// Second and third convolution of encoder_embed (conv.3, conv.6): 3x3, stride 2, then DoubleSwish.
//
//   y[t, f, o] = doubleswish(bias[o] + sum_{i,j,c} weight[i, j, c, o] * x[2t + i, 2f + j, c])
//
// Channels come last, padded to vec4 with zero weights, so a position is a short run of vec4s and its window three runs. A
// lane of n encoder frames has n * times_per_frame + times_extra output times (conv.3: 2n + 1, conv.6: n) and twice that
// plus one input times.
//
// A product (product_*.wgsl): a row is a position (time, frequency) of the lane z, its inputs are the window, summed on top
// of the bias without blocks. Weights are f32.

override in_freqs: u32;
override out_freqs: u32; // (in_freqs - 3) / 2 + 1
override channel_vec4s: u32; // ceil(input channels / 4)
override in_vec4s: u32; // of a window, 9 * channel_vec4s
override block_vec4s: u32; // as many
override out_vec4s: u32; // ceil(output channels / 4)
override times_per_frame: u32;
override times_extra: u32;

@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(3) var<storage, read> x: array<Input>; // (lanes, 2 * out_times + 1, in_freqs, channel_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes, out_times, out_freqs, out_vec4s)

var<private> lane: u32;

fn enter(z: u32) {
  lane = z;
}

fn matrix() -> u32 {
  return 0u;
}

fn out_times() -> u32 {
  return step.frames * times_per_frame + times_extra;
}

fn rows() -> u32 {
  return out_times() * out_freqs;
}

// Where the window of a position starts in x.
fn row_start(position: u32) -> u32 {
  let t = position / out_freqs;
  let f = position % out_freqs;
  return ((lane * (2u * out_times() + 1u) + 2u * t) * in_freqs + 2u * f) * channel_vec4s;
}

// Where the k-th vec4 of a window, three rows of 3 * channel_vec4s, lies in x from the window's start.
fn input_place(k: u32) -> u32 {
  let run = 3u * channel_vec4s;
  let row = select(0u, 1u, k >= run) + select(0u, 1u, k >= 2u * run);
  return row * (in_freqs * channel_vec4s - run) + k;
}

fn load(place: u32) -> Input {
  return x[place];
}

fn block_start(o: u32) -> vec4f {
  return bias[min(o, out_vec4s - 1u)];
}

fn store(position: u32, o: u32, sum: vec4f) {
  y[(lane * rows() + position) * out_vec4s + o] = double_swish(sum);
}
