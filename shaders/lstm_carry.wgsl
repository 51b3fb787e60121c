// One frame of an LSTM without projection, all lanes: the cell output is the next h, and the residual of
// the layer is added.
//
//   h = m
//   x[t] += h
//
// A dispatch of its own because lstm_cell reads the old h of every unit while it runs. Lanes that have no
// frame `at.frame` any more keep their h.
//
// One thread: four units of one lane.
// Workgroups: (ceil(hidden_vec4s / 32), lanes, 1). Run once per frame, after lstm_cell.

override hidden_vec4s: u32; // ceil(units / 4), also the width of h and x
override layers: u32;

struct Step {
  lanes: u32, // streams in this step
  frames: u32, // encoder frames of the longest lane
}

struct Lane {
  slot: u32,
  frames: u32, // encoder frames of this lane, 1 ..= step.frames
}

struct At {
  layer: u32,
  frame: u32,
}

@group(0) @binding(0) var<storage, read> m: array<vec4f>; // (lanes, hidden_vec4s)
@group(0) @binding(1) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(2) var<storage, read_write> h: array<vec4f>; // (slots, layers, hidden_vec4s)
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>; // (lanes, frames, hidden_vec4s)
@group(0) @binding(4) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

@compute @workgroup_size(32)
fn lstm_carry(@builtin(global_invocation_id) id: vec3u) {
  let unit = id.x;
  let lane = id.y;
  if (unit >= hidden_vec4s || lane >= step.lanes) {
    return;
  }
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  let value = m[lane * hidden_vec4s + unit];
  h[(lanes[lane].slot * layers + at.layer) * hidden_vec4s + unit] = value;
  x[(lane * step.frames + at.frame) * hidden_vec4s + unit] += value;
}
