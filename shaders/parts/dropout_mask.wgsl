// A dropout mask: a bit for each element of (rows, 4 * vec4s), 1 = kept, those of eight vec4s to a word, from the lowest up.

override is_masked: bool;
override keep_scale: f32; // 1 / (1 - p)

@group(0) @binding(7) var<storage, read> mask: array<u32>;

// The vec4 at a place, masked.
fn dropped(place: u32, v: vec4f) -> vec4f {
  if (!is_masked) {
    return v;
  }
  let bits = mask[place >> 3u] >> (4u * (place & 7u));
  let kept = (vec4u(bits) & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u);
  return select(vec4f(0.0), keep_scale * v, kept);
}
