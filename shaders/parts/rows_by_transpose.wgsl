// Four rows of an output's gradient by a matrix that lies output by output, (4 * out_vec4s, in_vec4s): four inputs of each,
// dy W. Sums in blocks of 64 outputs, block sums one after the other.
//
// Needs gradient_at, in_vec4s, out_vec4s, weight.

const block_vec4s = 16u;

// Of the rows from `row` on, none of them beyond `last`; a column is a row's inputs.
fn by_transpose(row: u32, last: u32, i: u32) -> mat4x4f {
  let starts = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(last)) * out_vec4s;
  var total = mat4x4f();
  for (var first = 0u; first < out_vec4s; first += block_vec4s) {
    var sum = mat4x4f();
    for (var o = first; o < min(first + block_vec4s, out_vec4s); o++) {
      let w = 4u * o * in_vec4s + i;
      let w4 = mat4x4f(weight[w], weight[w + in_vec4s], weight[w + 2u * in_vec4s], weight[w + 3u * in_vec4s]);
      sum[0] += w4 * gradient_at(starts.x + o);
      sum[1] += w4 * gradient_at(starts.y + o);
      sum[2] += w4 * gradient_at(starts.z + o);
      sum[3] += w4 * gradient_at(starts.w + o);
    }
    total += sum;
  }
  return total;
}
