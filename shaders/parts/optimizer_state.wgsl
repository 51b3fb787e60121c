// What an optimizer's step knows of itself, on the GPU: no readback decides anything.

struct State {
  factor: f32, // of all gradients: clipping, and the loss's scale taken back
  norm: f32, // of the gradients before clipping
  correction1: f32, // 1 - beta1^t
  correction2: f32, // 1 - beta2^t
  taken: u32, // steps
  skipped: u32, // steps whose gradients were not finite
  is_skipped: u32, // whether this one is
  average_weight: f32, // what this step's weights count in their running average
}

struct Rates {
  learning_rate: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  weight_decay: f32,
  max_norm: f32,
  loss_scale: f32, // that gradients are multiplied by
  average_period: u32, // steps from one average to the next; 0 for none
  average_decay: f32, // of an exponential mean; 0 for the mean over all steps
}

@group(0) @binding(7) var<storage, read_write> state: State;
@group(0) @binding(8) var<uniform> rates: Rates;
