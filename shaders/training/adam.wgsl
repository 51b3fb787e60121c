// A step of Adam, AdamW or Eve (icefall's optim.py), for one parameter. With g the clipped gradient:
//
//   m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
//   w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// Adam adds weight_decay * w to g. AdamW shrinks w by lr * weight_decay first; Eve by weight_decay, if the parameter has more
// than one element and its root mean square is above 0.1; single numbers are then kept within -10 and 2. lr may differ by
// parameter. A thread: four elements. Workgroups: threads over vec4s, folded into y beyond 65535.

override kind: u32; // 0 Adam, 1 AdamW, 2 Eve

struct Parameter {
  elements: u32, // without what pads
  relative_rate: f32, // that the learning rate is multiplied by
}

@group(0) @binding(0) var<storage, read> gradient: array<vec4f>; // (vec4s)
@group(0) @binding(1) var<storage, read> sums: array<vec2f>; // (sums of squares.wgsl)
@group(0) @binding(2) var<storage, read> parameters: array<Parameter>; // all of them; `at.layer` is this one's place
@group(0) @binding(3) var<storage, read_write> value: array<vec4f>; // (vec4s)
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>; // (vec4s)
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>; // (vec4s)

const adam = 0u;
const adam_w = 1u;
const eve = 2u;
const target_rms = 0.1;

fn root_mean_square(elements: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < arrayLength(&sums); k++) {
    sum += sums[k].y;
  }
  return sqrt(sum / f32(elements));
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let k = id.y * groups.x * 32u + id.x;
  if (k >= arrayLength(&value) || state.is_skipped > 0u) {
    return;
  }
  let elements = parameters[at.layer].elements;
  let rate = rates.learning_rate * parameters[at.layer].relative_rate;
  var w = value[k];
  var g = state.factor * gradient[k];
  if (kind == adam) {
    g += rates.weight_decay * w;
  }
  if (kind == adam_w) {
    w *= 1.0 - rate * rates.weight_decay;
  }
  if (kind == eve && elements > 1u) {
    if (root_mean_square(elements) > target_rms) {
      w *= 1.0 - rates.weight_decay;
    }
  }
  let m = rates.beta1 * first_moment[k] + (1.0 - rates.beta1) * g;
  let v = rates.beta2 * second_moment[k] + (1.0 - rates.beta2) * g * g;
  let scale = sqrt(state.correction2);
  w -= rate / state.correction1 * m / (sqrt(v) / scale + rates.eps);
  if (kind == eve && elements == 1u) {
    w = clamp(w, vec4f(-10.0), vec4f(2.0));
  }
  value[k] = w;
  first_moment[k] = m;
  second_moment[k] = v;
}
