// A product for processors of many cores: the threads of a workgroup share the sums over the inputs as well, so that a
// single row keeps the card busy. Each block of 64 inputs is summed by one thread, and the block sums are added in their
// order: the same operations in the same order as in product_plain.wgsl, and so the same bytes.
//
// One workgroup: eight times four outputs of `tile` rows, in 8 parts of the inputs.
//
// Needs weights_at, multiply_add, multiply_add_four, inputs_at, four_starts, four_at, block_vec4s, input_place, in_vec4s.

override tile: u32; // 1 or 4

const outputs = 8u;
const parts = 8u;

var<workgroup> sums: array<vec4f, 4 * parts * outputs>; // (tile, parts, outputs)

// Four rows, or one, over one block of inputs.
fn sum_block(starts: vec4u, o: u32, place: u32, first: u32) {
  let end = min(first + block_vec4s, in_vec4s);
  if (tile == 1u) {
    var s = vec4f(0.0);
    for (var k = first; k < end; k++) {
      s = multiply_add(weights_at(k, o), inputs_at(starts.x, input_place(k)), s);
    }
    sums[place] = s;
    return;
  }
  var s = mat4x4f();
  for (var k = first; k < end; k++) {
    s = multiply_add_four(weights_at(k, o), four_at(starts, input_place(k)), s);
  }
  sums[place] = s[0];
  sums[place + parts * outputs] = s[1];
  sums[place + 2u * parts * outputs] = s[2];
  sums[place + 3u * parts * outputs] = s[3];
}

// Of the first parts, each gets the sums of one row.
fn sums_of_tile(first_row: u32, o: u32, column: u32, part: u32) -> vec4f {
  let starts = four_starts(first_row);
  let blocks = (in_vec4s + block_vec4s - 1u) / block_vec4s;
  var total = vec4f(0.0);
  for (var first = 0u; first < blocks; first += parts) {
    if (first + part < blocks) {
      sum_block(starts, o, part * outputs + column, (first + part) * block_vec4s);
    }
    workgroupBarrier();
    if (part < tile) {
      for (var p = 0u; p < min(parts, blocks - first); p++) {
        total += sums[(part * parts + p) * outputs + column];
      }
    }
    workgroupBarrier();
  }
  return total;
}
