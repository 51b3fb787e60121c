// The LSTM's projection and the residual in several layers at a time (wave.wgsl):
//
//   h = W_hr m
//   x[t] = n x[t] + h                        n is the factor of the norm before the layer
//
// The same operations in the same order as in basic_norm and lstm_projection, and so the same bytes.
//
// A product (product_split.wgsl): a row is a lane. Run after lstm_cell_wave.

override in_vec4s: u32; // ceil(units / 4)
override out_vec4s: u32; // ceil(width of h / 4)

@group(0) @binding(2) var<storage, read> m: array<Input>; // (lanes, frames, in_vec4s + 1): m; then n, and padding

const largest = 3.4e38;

fn row_start(lane: u32) -> u32 {
  return element_row(lane) * (in_vec4s + 1u);
}

fn load(place: u32) -> Input {
  return m[place];
}

fn store(lane: u32, p: u32, sum: vec4f) {
  if (!has_frame(lane)) {
    return;
  }
  let n = m[row_start(lane) + in_vec4s].x;
  // Without a bound a compiler may fuse the product and the sum that follows, which would round once less than two kernels
  // do.
  let residual = clamp(stream_at(lane, p) * n, vec4f(-largest), vec4f(largest));
  put_output(lane, p, scaled(sum, matrix() * out_vec4s + p), residual);
}
