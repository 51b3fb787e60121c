// RandomCombine: an auxiliary layer's output, weighed frame by frame, joins the encoder's: y += w * x. So does the gradient
// on the way back, to each of these layers. Which of them it is stands in `at.layer`.

override inputs: u32; // layers that are combined

@group(0) @binding(0) var<storage, read> weights: array<f32>; // (rows, inputs)
@group(0) @binding(1) var<storage, read> x: array<Stored>; // (rows, row_vec4s)
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] += weights[row * inputs + at.layer] * unstored(x[place]);
}
