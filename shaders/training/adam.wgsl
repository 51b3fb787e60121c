// An optimizer's step of one parameter (adam_step.wgsl). A scaled tensor's w is W / e^s: it is not kept beside W. Its gradient
// is e^s times that of W, and W = w * e^s is written with the s behind the step.
//
// A thread: four elements. Workgroups: threads over vec4s, folded into y beyond 65535.

override is_scaled: bool;

@group(0) @binding(0) var<storage, read> gradient: array<vec4f>; // (vec4s)
@group(0) @binding(1) var<storage, read> totals: array<Total>; // (parameters); `at.layer` is this one's place
@group(0) @binding(2) var<storage, read> parameters: array<Parameter>; // (parameters)
@group(0) @binding(3) var<storage, read_write> value: array<vec4f>; // (vec4s)
@group(0) @binding(4) var<storage, read_write> first_moment: array<vec4f>; // (vec4s)
@group(0) @binding(5) var<storage, read_write> second_moment: array<vec4f>; // (vec4s)

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
  if (is_scaled) {
    w /= totals[at.layer].scale;
    g *= totals[at.layer].scale;
  }
  let next = stepped(Elements(w, first_moment[k], second_moment[k]), g, rate, elements, totals[at.layer].rms);
  w = next.w;
  if (is_scaled) {
    w *= totals[at.layer].next_scale;
  }
  value[k] = w;
  first_moment[k] = next.m;
  second_moment[k] = next.v;
  keep_average(k, w);
}
