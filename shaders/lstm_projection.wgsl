// One frame of the LSTM's projection, all lanes, and the residual of its layer:
//
//   h = W_hr m
//   x[t] += h
//
// The weight is column-major like that of linear.wgsl. Lanes that have no frame `at.frame` any more keep
// their h.
//
// One thread: four elements of h of four lanes; a tile of a single lane takes the short path, with the
// same order of summation.
// Workgroups: (ceil(proj_vec4s / 32), ceil(lanes / 4), 1). Run once per frame, after lstm_cell.

override hidden_vec4s: u32; // ceil(units / 4)
override proj_vec4s: u32; // ceil(width of h / 4)
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

@group(0) @binding(0) var<storage, read> weight_hr: array<vec4f>; // (4 * hidden_vec4s, proj_vec4s)
@group(0) @binding(1) var<storage, read> m: array<vec4f>; // (lanes, hidden_vec4s)
@group(0) @binding(2) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(3) var<storage, read_write> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>; // (lanes, frames, proj_vec4s)
@group(0) @binding(5) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

fn update(lane: u32, p: u32, sum: vec4f) {
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  h[(lanes[lane].slot * layers + at.layer) * proj_vec4s + p] = sum;
  x[(lane * step.frames + at.frame) * proj_vec4s + p] += sum;
}

fn one_lane(lane: u32, p: u32) {
  let m0 = lane * hidden_vec4s;
  var h0 = vec4f(0.0);
  var w = p;
  for (var k = 0u; k < hidden_vec4s; k++) {
    let v0 = m[m0 + k];
    h0 = fma(vec4f(v0.x), weight_hr[w], h0);
    h0 = fma(vec4f(v0.y), weight_hr[w + proj_vec4s], h0);
    h0 = fma(vec4f(v0.z), weight_hr[w + 2u * proj_vec4s], h0);
    h0 = fma(vec4f(v0.w), weight_hr[w + 3u * proj_vec4s], h0);
    w += 4u * proj_vec4s;
  }
  update(lane, p, h0);
}

fn four_lanes(lane: u32, p: u32) {
  // Lanes past the end repeat the last one and are not written.
  let last = step.lanes - 1u;
  let m0 = lane * hidden_vec4s;
  let m1 = min(lane + 1u, last) * hidden_vec4s;
  let m2 = min(lane + 2u, last) * hidden_vec4s;
  let m3 = min(lane + 3u, last) * hidden_vec4s;
  var h0 = vec4f(0.0);
  var h1 = vec4f(0.0);
  var h2 = vec4f(0.0);
  var h3 = vec4f(0.0);
  var w = p;
  for (var k = 0u; k < hidden_vec4s; k++) {
    let w0 = weight_hr[w];
    let w1 = weight_hr[w + proj_vec4s];
    let w2 = weight_hr[w + 2u * proj_vec4s];
    let w3 = weight_hr[w + 3u * proj_vec4s];
    w += 4u * proj_vec4s;
    let v0 = m[m0 + k];
    h0 = fma(vec4f(v0.w), w3, fma(vec4f(v0.z), w2, fma(vec4f(v0.y), w1, fma(vec4f(v0.x), w0, h0))));
    let v1 = m[m1 + k];
    h1 = fma(vec4f(v1.w), w3, fma(vec4f(v1.z), w2, fma(vec4f(v1.y), w1, fma(vec4f(v1.x), w0, h1))));
    let v2 = m[m2 + k];
    h2 = fma(vec4f(v2.w), w3, fma(vec4f(v2.z), w2, fma(vec4f(v2.y), w1, fma(vec4f(v2.x), w0, h2))));
    let v3 = m[m3 + k];
    h3 = fma(vec4f(v3.w), w3, fma(vec4f(v3.z), w2, fma(vec4f(v3.y), w1, fma(vec4f(v3.x), w0, h3))));
  }
  update(lane, p, h0);
  if (lane + 1u < step.lanes) {
    update(lane + 1u, p, h1);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, p, h2);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, p, h3);
  }
}

@compute @workgroup_size(32)
fn lstm_projection(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  let lane = id.y * 4u;
  if (p >= proj_vec4s || lane >= step.lanes) {
    return;
  }
  if (lane + 1u == step.lanes) {
    one_lane(lane, p);
  } else {
    four_lanes(lane, p);
  }
}
