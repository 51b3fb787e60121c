// A product of a matrix with rows of inputs, the oracle of the other ways to do it: four outputs of `tile` rows by one
// thread, so that a weight is loaded once for them. Every output is summed in the same order, with the same fma, whatever
// the tile: its bits do not depend on its neighbours.
//
// Needs weights_at, multiply_add, multiply_add_four, start_of, inputs_at, four_starts, four_at, block_vec4s, block_start,
// four_block_starts, input_place, rows, store, store_four, summed_vec4s, out_vec4s.

override tile: u32; // 1, 4 or 16

fn one_row(row: u32, o: u32) {
  let inputs = summed_vec4s();
  let start = start_of(row);
  var total = vec4f(0.0);
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var s = block_start(o);
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      s = multiply_add(weights_at(k, o), inputs_at(start, input_place(k)), s);
    }
    total += s;
  }
  store(row, o, total);
}

fn four_rows(row: u32, o: u32) {
  let inputs = summed_vec4s();
  let starts = four_starts(row);
  var total = mat4x4f();
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var s = four_block_starts(o);
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      s = multiply_add_four(weights_at(k, o), four_at(starts, input_place(k)), s);
    }
    total = total + s;
  }
  store_four(row, o, total);
}

fn sixteen_rows(row: u32, o: u32) {
  let inputs = summed_vec4s();
  let starts_a = four_starts(row);
  let starts_b = four_starts(row + 4u);
  let starts_c = four_starts(row + 8u);
  let starts_d = four_starts(row + 12u);
  var total_a = mat4x4f();
  var total_b = mat4x4f();
  var total_c = mat4x4f();
  var total_d = mat4x4f();
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var sum_a = four_block_starts(o);
    var sum_b = sum_a;
    var sum_c = sum_a;
    var sum_d = sum_a;
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      let w = weights_at(k, o);
      let place = input_place(k);
      sum_a = multiply_add_four(w, four_at(starts_a, place), sum_a);
      sum_b = multiply_add_four(w, four_at(starts_b, place), sum_b);
      sum_c = multiply_add_four(w, four_at(starts_c, place), sum_c);
      sum_d = multiply_add_four(w, four_at(starts_d, place), sum_d);
    }
    total_a = total_a + sum_a;
    total_b = total_b + sum_b;
    total_c = total_c + sum_c;
    total_d = total_d + sum_d;
  }
  store_four(row, o, total_a);
  store_four(row + 4u, o, total_b);
  store_four(row + 8u, o, total_c);
  store_four(row + 12u, o, total_d);
}

fn rows_of_tile(row: u32, o: u32) {
  if (o >= out_vec4s || row >= rows()) {
    return;
  }
  if (tile == 16u) {
    sixteen_rows(row, o);
  } else if (tile == 4u) {
    four_rows(row, o);
  } else {
    one_row(row, o);
  }
}
