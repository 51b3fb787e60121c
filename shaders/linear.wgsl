// Linear layer: y = W x + b, or y += W x + b, with an optional DoubleSwish, over all frames of a step, or over one frame in
// each of several layers (wave.wgsl).
//
// Serves encoder_embed.out, the input half of the LSTM gates, both feed-forward layers (the second one accumulates into the
// residual), the CTC head and the joiner's layers. Inputs and outputs are padded to vec4 with zero weights, so padding lanes
// stay zero from layer to layer. Weights may be packed; what is summed is f32 whatever they are.
//
// A product (product_*.wgsl): a row is one frame of one lane.

override in_vec4s: u32; // ceil(inputs / 4)
override out_vec4s: u32; // ceil(outputs / 4)
override is_swished: bool;
override accumulate: bool;

@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // (matrices, out_vec4s)
@group(0) @binding(3) var<storage, read> x: array<Input>; // (lanes, frames, in_vec4s)
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>; // (lanes, frames, out_vec4s)

fn row_start(row: u32) -> u32 {
  return element_row(row) * in_vec4s;
}

fn load(place: u32) -> Input {
  return x[place];
}

fn store(row: u32, o: u32, sum: vec4f) {
  let vector = matrix() * out_vec4s + o;
  var value = bias[vector] + scaled(sum, vector);
  if (is_swished) {
    value = double_swish(value);
  }
  if (accumulate) {
    value += y[element_row(row) * out_vec4s + o];
  }
  y[element_row(row) * out_vec4s + o] = value;
}
