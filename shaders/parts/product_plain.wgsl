// A product of a matrix with rows of inputs, the oracle of the other ways to do it: four outputs of `tile` rows by one
// thread, so that a weight is loaded once for them. Every output is summed in the same order, with the same fma, whatever
// the tile: its bits do not depend on its neighbours.
//
// Needs weights_at, multiply_add, multiply_add_four, start_of, inputs_at, four_starts, four_at, block_vec4s, block_start,
// four_block_starts, input_place, rows, store, store_four, in_vec4s, out_vec4s.

override tile: u32; // 1, 4 or 16

fn one_row(row: u32, o: u32) {
  let start = start_of(row);
  var y = vec4f(0.0);
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var s = block_start(o);
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      s = multiply_add(weights_at(k, o), inputs_at(start, input_place(k)), s);
    }
    y += s;
  }
  store(row, o, y);
}

fn four_rows(row: u32, o: u32) {
  let starts = four_starts(row);
  var y = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var s = four_block_starts(o);
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      s = multiply_add_four(weights_at(k, o), four_at(starts, input_place(k)), s);
    }
    y = y + s;
  }
  store_four(row, o, y);
}

fn sixteen_rows(row: u32, o: u32) {
  let starts_a = four_starts(row);
  let starts_b = four_starts(row + 4u);
  let starts_c = four_starts(row + 8u);
  let starts_d = four_starts(row + 12u);
  var ya = mat4x4f();
  var yb = mat4x4f();
  var yc = mat4x4f();
  var yd = mat4x4f();
  for (var first = 0u; first < in_vec4s; first += block_vec4s) {
    var a = four_block_starts(o);
    var b = a;
    var c = a;
    var d = a;
    for (var k = first; k < min(first + block_vec4s, in_vec4s); k++) {
      let w = weights_at(k, o);
      let place = input_place(k);
      a = multiply_add_four(w, four_at(starts_a, place), a);
      b = multiply_add_four(w, four_at(starts_b, place), b);
      c = multiply_add_four(w, four_at(starts_c, place), c);
      d = multiply_add_four(w, four_at(starts_d, place), d);
    }
    ya = ya + a;
    yb = yb + b;
    yc = yc + c;
    yd = yd + d;
  }
  store_four(row, o, ya);
  store_four(row + 4u, o, yb);
  store_four(row + 8u, o, yc);
  store_four(row + 12u, o, yd);
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
