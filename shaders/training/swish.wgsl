// DoubleSwish behind a linear layer, with dropout: u = D * (a * sigmoid(a - 1)).

@group(0) @binding(0) var<storage, read> a: array<Stored>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read_write> u: array<Stored>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  u[place] = stored(dropped(place, double_swish(unstored(a[place]))));
}
