// One frame of an LSTM without projection, all lanes: the cell output is the next h, and the residual of
// the layer is added.
//
//   h = m
//   x[t] += h
//
// A dispatch of its own because lstm_cell reads the old h of every unit while it runs.
//
// One thread: four units of one lane.
// Workgroups: (ceil(out_vec4s / 32), lanes, 1). Run once per frame, after lstm_cell.

override out_vec4s: u32; // ceil(units / 4), also the width of h and x

@group(0) @binding(2) var<storage, read> m: array<vec4f>; // (lanes, out_vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let lane = id.y;
  if (unit < out_vec4s && lane < rows() && has_frame(lane)) {
    put_output(lane, unit, m[lane * out_vec4s + unit], stream_at(lane, unit));
  }
}
