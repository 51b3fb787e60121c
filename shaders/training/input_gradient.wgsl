// Gradient of a linear layer's input: dx = dy W, or dx += dy W, all rows of a batch. A product (product_plain.wgsl,
// product_texture.wgsl), backwards: dy goes in.

@group(0) @binding(1) var<storage, read> dy: array<Input>; // (rows, in_vec4s)
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // (rows, out_vec4s)

fn load(place: u32) -> Input {
  return dy[place];
}

fn store(row: u32, o: u32, sum: vec4f) {
  let place = row * out_vec4s + o;
  if (sizes.accumulate > 0u) {
    dx[place] += sum;
  } else {
    dx[place] = sum;
  }
}
