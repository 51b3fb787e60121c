// A product with the weights in a texture: the same operations in the same order as in product_plain.wgsl, and so the same
// bytes. Loops longer than a processor's instruction cache are slow, hence few inputs a turn. What is done with sums stands in
// a loop, once: it may be much code, which takes its time to compile.
//
// One thread: eight outputs, two texels, of `tile` rows, which all threads of a workgroup have the same.
//
// Needs weights_at, multiply_add, multiply_add_four, start_of, inputs_at, four_starts, four_at, threads, block_vec4s,
// block_start, four_block_starts, input_place, store_inside, store_four, summed_vec4s.

override tile: u32; // 1, 4 or 8

fn one_row(row: u32, o: u32, quad_lane: u32) {
  let inputs = summed_vec4s();
  let start = start_of(row) + quad_lane;
  var total_a = vec4f(0.0);
  var total_b = vec4f(0.0);
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var sum_a = block_start(o);
    var sum_b = block_start(o + threads);
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      let own = inputs_at(start, input_place(k));
      sum_a = multiply_add(weights_at(k, o), own, sum_a);
      sum_b = multiply_add(weights_at(k, o + threads), own, sum_b);
    }
    total_a += sum_a;
    total_b += sum_b;
  }
  store_inside(row, o, total_a);
  store_inside(row, o + threads, total_b);
}

fn four_rows(row: u32, o: u32, quad_lane: u32) {
  let inputs = summed_vec4s();
  let starts = four_starts(row) + quad_lane;
  var total_a = mat4x4f();
  var total_b = mat4x4f();
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var sum_a = four_block_starts(o);
    var sum_b = four_block_starts(o + threads);
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      let four = four_at(starts, input_place(k));
      sum_a = multiply_add_four(weights_at(k, o), four, sum_a);
      sum_b = multiply_add_four(weights_at(k, o + threads), four, sum_b);
    }
    total_a = total_a + sum_a;
    total_b = total_b + sum_b;
  }
  var totals = array<mat4x4f, 2>(total_a, total_b);
  for (var part = 0u; part < 2u; part++) {
    store_four(row, o + part * threads, totals[part]);
  }
}

fn eight_rows(row: u32, o: u32, quad_lane: u32) {
  let inputs = summed_vec4s();
  let starts_a = four_starts(row) + quad_lane;
  let starts_c = four_starts(row + 4u) + quad_lane;
  var total_a = mat4x4f();
  var total_b = mat4x4f();
  var total_c = mat4x4f();
  var total_d = mat4x4f();
  for (var first = 0u; first < inputs; first += block_vec4s) {
    var sum_a = four_block_starts(o);
    var sum_b = four_block_starts(o + threads);
    var sum_c = sum_a;
    var sum_d = sum_b;
    for (var k = first; k < min(first + block_vec4s, inputs); k++) {
      let place = input_place(k);
      let rows_a = four_at(starts_a, place);
      let rows_c = four_at(starts_c, place);
      let wa = weights_at(k, o);
      sum_a = multiply_add_four(wa, rows_a, sum_a);
      sum_c = multiply_add_four(wa, rows_c, sum_c);
      let wb = weights_at(k, o + threads);
      sum_b = multiply_add_four(wb, rows_a, sum_b);
      sum_d = multiply_add_four(wb, rows_c, sum_d);
    }
    total_a = total_a + sum_a;
    total_b = total_b + sum_b;
    total_c = total_c + sum_c;
    total_d = total_d + sum_d;
  }
  var totals = array<mat4x4f, 4>(total_a, total_b, total_c, total_d);
  for (var part = 0u; part < 4u; part++) {
    store_four(row + part / 2u * 4u, o + part % 2u * threads, totals[part]);
  }
}

fn rows_of_tile(row: u32, o: u32, quad_lane: u32) {
  // No thread leaves early: quads load together.
  if (tile == 8u) {
    eight_rows(row, o, quad_lane);
  } else if (tile == 4u) {
    four_rows(row, o, quad_lane);
  } else {
    one_row(row, o, quad_lane);
  }
}
