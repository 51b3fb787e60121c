// Linear layer, all rows of a batch: y = x W^T + b. A product (product_plain.wgsl, product_texture.wgsl).


@group(0) @binding(1) var<storage, read> bias: array<vec4f>; // (out_vec4s)
@group(0) @binding(2) var<storage, read> x: array<StoredInput>; // (rows, in_vec4s)
@group(0) @binding(3) var<storage, read_write> y: array<Stored>; // (rows, out_vec4s)

fn load(place: u32) -> Input {
  return input_of(x[place]);
}

fn store(row: u32, o: u32, sum: vec4f) {
  y[row * out_vec4s + o] = stored(bias[o] + sum);
}
