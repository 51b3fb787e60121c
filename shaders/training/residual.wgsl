// A branch joins the stream, with dropout: y = x + D * branch.

@group(0) @binding(0) var<storage, read> x: array<Stored>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read> branch: array<Stored>; // (rows, row_vec4s)
@group(0) @binding(2) var<storage, read_write> y: array<Stored>; // (rows, row_vec4s)

fn each_vec4(row: u32, k: u32, place: u32) {
  y[place] = stored(unstored(x[place]) + dropped(place, unstored(branch[place])));
}
