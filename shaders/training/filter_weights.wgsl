// What gradients of weights are made of, behind icefall's GradientFilter: y *= the weights' factor.

@group(0) @binding(0) var<storage, read_write> y: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read> factors: array<f32>; // (1 + utterances): filter_factors.wgsl's

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] *= factors[0];
}
