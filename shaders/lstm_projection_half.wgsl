// lstm_projection.wgsl in f16 arithmetic, as linear_half.wgsl has it: sums of 16 inputs are f16, what
// follows is f32. The bytes do not depend on the tile.
//
// One thread: four elements of h of `tile` lanes, of four or of one.
// Workgroups: (ceil(proj_vec4s / 32), ceil(lanes / tile), 1). Run once per frame, after lstm_cell_half. Needs the
// feature `shader-f16`.
enable f16;

override tile: u32; // 1 or 4
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

// W_hr (ceil(proj_vec4s / 8), hidden_vec4s, 2, 8), two inputs each
@group(0) @binding(0) var<storage, read> weight: array<mat2x4<f16>>;
@group(0) @binding(1) var<storage, read> m: array<vec4f>; // (lanes, hidden_vec4s)
@group(0) @binding(2) var<storage, read> lanes: array<Lane>; // (lanes)
@group(0) @binding(3) var<storage, read_write> h: array<vec4f>; // (slots, layers, proj_vec4s)
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>; // (lanes, frames, proj_vec4s)
@group(0) @binding(5) var<uniform> step: Step;
@group(1) @binding(0) var<uniform> at: At;

// vec4s of inputs that are summed in f16; m, in (-1, 1), is within the range of f16.
const run_vec4s = 4u;

fn multiply_add(low: mat2x4<f16>, high: mat2x4<f16>, value: vec4<f16>, sum: vec4<f16>) -> vec4<f16> {
  let first = fma(vec4<f16>(value.y), low[1], fma(vec4<f16>(value.x), low[0], sum));
  return fma(vec4<f16>(value.w), high[1], fma(vec4<f16>(value.z), high[0], first));
}

fn update(lane: u32, p: u32, value: vec4f) {
  if (at.frame >= lanes[lane].frames) {
    return;
  }
  h[(lanes[lane].slot * layers + at.layer) * proj_vec4s + p] = value;
  x[(lane * step.frames + at.frame) * proj_vec4s + p] += value;
}

fn m_start(lane: u32) -> u32 {
  return lane * hidden_vec4s;
}

fn one_lane(lane: u32, p: u32) {
  let m0 = m_start(lane);
  var y0 = vec4f(0.0);
  for (var start = 0u; start < hidden_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, hidden_vec4s); k++) {
      let w = ((p >> 3u) * hidden_vec4s + k) * 16u + (p & 7u);
      s0 = multiply_add(weight[w], weight[w + 8u], vec4<f16>(m[m0 + k]), s0);
    }
    y0 += vec4f(s0);
  }
  update(lane, p, y0);
}

fn four_lanes(lane: u32, p: u32) {
  // Lanes past the end repeat the last one and are not written.
  let last = step.lanes - 1u;
  let m0 = m_start(lane);
  let m1 = m_start(min(lane + 1u, last));
  let m2 = m_start(min(lane + 2u, last));
  let m3 = m_start(min(lane + 3u, last));
  var y0 = vec4f(0.0);
  var y1 = vec4f(0.0);
  var y2 = vec4f(0.0);
  var y3 = vec4f(0.0);
  for (var start = 0u; start < hidden_vec4s; start += run_vec4s) {
    var s0 = vec4<f16>();
    var s1 = vec4<f16>();
    var s2 = vec4<f16>();
    var s3 = vec4<f16>();
    for (var k = start; k < min(start + run_vec4s, hidden_vec4s); k++) {
      let w = ((p >> 3u) * hidden_vec4s + k) * 16u + (p & 7u);
      let low = weight[w];
      let high = weight[w + 8u];
      s0 = multiply_add(low, high, vec4<f16>(m[m0 + k]), s0);
      s1 = multiply_add(low, high, vec4<f16>(m[m1 + k]), s1);
      s2 = multiply_add(low, high, vec4<f16>(m[m2 + k]), s2);
      s3 = multiply_add(low, high, vec4<f16>(m[m3 + k]), s3);
    }
    y0 += vec4f(s0);
    y1 += vec4f(s1);
    y2 += vec4f(s2);
    y3 += vec4f(s3);
  }
  update(lane, p, y0);
  if (lane + 1u < step.lanes) {
    update(lane + 1u, p, y1);
  }
  if (lane + 2u < step.lanes) {
    update(lane + 2u, p, y2);
  }
  if (lane + 3u < step.lanes) {
    update(lane + 3u, p, y3);
  }
}

@compute @workgroup_size(32)
fn lstm_projection_half(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  let lane = id.y * tile;
  if (p >= proj_vec4s || lane >= step.lanes) {
    return;
  }
  if (tile == 4u) {
    four_lanes(lane, p);
  } else {
    one_lane(lane, p);
  }
}
