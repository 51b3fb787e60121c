// A gradient behind icefall's GradientFilter, added to another: y += x * factor of the utterance.

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(2) var<storage, read> factors: array<f32>; // (1 + utterances): filter_factors.wgsl's

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] += factors[1u + row % step.lanes] * x[place];
}
