// Draws a dropout mask: Philox4x32-10 (Salmon et al., 2011) by coordinates. The four elements of a vec4 take the four words of
//
//   key = seed          counter = (place in the row, frame, utterance | site << 16, micro_step)
//
// and are kept where their word is at least floor(p * 2^32). So a mask depends on nothing but its own coordinates: neither on
// padding nor on how the batch is laid out.
//
// A thread: eight vec4s, a word of the mask. Workgroups: threads over the mask's words, folded into y beyond 65535.

override row_vec4s: u32;

struct Draw {
  key_low: u32,
  key_high: u32,
  micro_step: u32,
  threshold: u32,
}

@group(0) @binding(0) var<uniform> draw: Draw;
@group(0) @binding(1) var<storage, read> sites: array<u32>; // what the mask is for, by `at.layer`
@group(0) @binding(2) var<storage, read_write> drawn: array<u32>; // (rows * row_vec4s / 8)

// The high word of a product, by four products of halves; the low word is what a * b is in u32.
fn high_product(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

fn philox(start: vec4u) -> vec4u {
  var counter = start;
  var key = vec2u(draw.key_low, draw.key_high);
  for (var round = 0u; round < 10u; round++) {
    counter = vec4u(
      high_product(0xcd9e8d57u, counter.z) ^ counter.y ^ key.x,
      0xcd9e8d57u * counter.z,
      high_product(0xd2511f53u, counter.x) ^ counter.w ^ key.y,
      0xd2511f53u * counter.x
    );
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let word = id.y * groups.x * 32u + id.x;
  if (8u * word >= rows() * row_vec4s) {
    return;
  }
  var bits = 0u;
  for (var j = 0u; j < 8u; j++) {
    let place = 8u * word + j;
    let row = place / row_vec4s;
    let utterance = (row % step.lanes) | (sites[at.layer] << 16u);
    let words = philox(vec4u(place % row_vec4s, row / step.lanes, utterance, draw.micro_step));
    let kept = select(vec4u(0u), vec4u(1u, 2u, 4u, 8u), words >= vec4u(draw.threshold));
    bits |= (kept.x | kept.y | kept.z | kept.w) << (4u * j);
  }
  drawn[word] = bits;
}
