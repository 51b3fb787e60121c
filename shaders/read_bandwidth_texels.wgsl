// read_bandwidth.wgsl with a texture in place of the buffer, laid out and sampled as in matrix_in_texture.wgsl: what some
// software adapters read fastest.
//
//   sums[4 r + t] = sum of the texels t, t + 4, t + 8, … of row r
//
// One thread: every fourth texel of a row, eight at a time.
// Workgroups: (rows, 1, 1).

@group(0) @binding(0) var values: texture_2d<f32>; // rows of 512 texels
@group(0) @binding(1) var<storage, read_write> sums: array<vec4f>; // (rows, 4)
@group(0) @binding(2) var nearest: sampler;

const threads = 4u;
const width = 512u;

fn texel(at: u32, place: f32) -> vec4f {
  return textureSampleLevel(values, nearest, vec2f((f32(at) + 0.5) / f32(width), place), 0.0);
}

fn four_texels(first: u32, down: f32) -> vec4f {
  let near = texel(first, down) + texel(first + threads, down);
  let far = texel(first + 2u * threads, down) + texel(first + 3u * threads, down);
  return near + far;
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let down = (f32(group.x) + 0.5) / f32(textureDimensions(values).y);
  var sum = vec4f(0.0);
  for (var x = thread.x; x < width; x += 8u * threads) {
    sum += four_texels(x, down) + four_texels(x + 4u * threads, down);
  }
  sums[group.x * threads + thread.x] = sum;
}
