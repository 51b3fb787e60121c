// An optimizer's step of the log-scales (adam_step.wgsl), each of which is a parameter of one element.
//
// A thread: a parameter. Workgroups: (ceil(parameters / 32), 1, 1).

@group(0) @binding(0) var<storage, read_write> totals: array<Total>; // (parameters): next_scale is written
@group(0) @binding(1) var<storage, read> parameters: array<Parameter>; // (parameters)
@group(0) @binding(2) var<storage, read_write> scales: array<Scale>; // (parameters)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  if (k >= arrayLength(&parameters) || state.is_skipped > 0u) {
    return;
  }
  if (parameters[k].is_scaled == 0u) {
    return;
  }
  let before = Elements(vec4f(scales[k].value), vec4f(scales[k].first_moment), vec4f(scales[k].second_moment));
  let g = vec4f(state.factor * totals[k].scale_gradient);
  let next = stepped(before, g, rates.learning_rate * parameters[k].scale_rate, 1u, 0.0);
  scales[k] = Scale(next.w.x, next.m.x, next.v.x);
  totals[k].next_scale = exp(next.w.x);
}
