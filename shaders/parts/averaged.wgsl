// Parameters have a running average: average += (w - average) * weight, where this step's weight is not zero.
//
// Needs state.

@group(0) @binding(6) var<storage, read_write> average: array<vec4f>; // (vec4s)

fn keep_average(k: u32, w: vec4f) {
  let weight = state.average_weight;
  if (weight > 0.0) {
    average[k] = (1.0 - weight) * average[k] + weight * w;
  }
}
