// A step of Adam, AdamW or Eve (icefall's optim.py). With g the clipped gradient:
//
//   m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
//   w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// Adam adds weight_decay * w to g. AdamW shrinks w by lr * weight_decay first; Eve by weight_decay, if the parameter has more
// than one element and its root mean square is above 0.1; single numbers are then kept within -10 and 2. lr may differ by
// parameter.
//
// Needs rates, state.

override kind: u32; // 0 Adam, 1 AdamW, 2 Eve

const adam = 0u;
const adam_w = 1u;
const eve = 2u;
const target_rms = 0.1;

// Four elements with their moments.
struct Elements {
  w: vec4f,
  m: vec4f,
  v: vec4f,
}

fn stepped(before: Elements, gradient: vec4f, rate: f32, elements: u32, rms: f32) -> Elements {
  var w = before.w;
  var g = gradient;
  if (kind == adam) {
    g += rates.weight_decay * w;
  }
  if (kind == adam_w) {
    w *= 1.0 - rate * rates.weight_decay;
  }
  if (kind == eve && elements > 1u && rms > target_rms) {
    w *= 1.0 - rates.weight_decay;
  }
  let m = rates.beta1 * before.m + (1.0 - rates.beta1) * g;
  let v = rates.beta2 * before.v + (1.0 - rates.beta2) * g * g;
  let root = sqrt(state.correction2);
  w -= rate / state.correction1 * m / (sqrt(v) / root + rates.eps);
  if (kind == eve && elements == 1u) {
    w = clamp(w, vec4f(-10.0), vec4f(2.0));
  }
  return Elements(w, m, v);
}
