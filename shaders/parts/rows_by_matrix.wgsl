// Four rows by a matrix that lies output by output, (4 * outputs, in_vec4s): four outputs of each, x W^T. Sums in blocks of 64
// inputs, block sums one after the other.
//
// Needs in_vec4s, input_at, weight.

const block_vec4s = 16u;

// Of the rows from `row` on, none of them beyond `last`; a column is a row's outputs.
fn by_matrix(row: u32, last: u32, o: u32) -> mat4x4f {
  let starts = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(last)) * in_vec4s;
  let w = vec4u(4u * o, 4u * o + 1u, 4u * o + 2u, 4u * o + 3u) * in_vec4s;
  var total = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var sum = mat4x4f();
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let w4 = mat4x4f(weight[w.x + k], weight[w.y + k], weight[w.z + k], weight[w.w + k]);
      sum[0] += input_at(starts.x + k) * w4;
      sum[1] += input_at(starts.y + k) * w4;
      sum[2] += input_at(starts.z + k) * w4;
      sum[3] += input_at(starts.w + k) * w4;
    }
    total += sum;
  }
  return total;
}
