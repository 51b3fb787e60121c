// The inputs of a product lie one after the other, and are summed in blocks of 64, block sums then one after the other:
// over the 2304 inputs of the embedding a single running sum would lose a digit.

const block_vec4s = 16u;

// What the sum of a block starts from.
fn block_start(o: u32) -> vec4f {
  return vec4f(0.0);
}

// Where the k-th vec4 of inputs lies, from the start of its row.
fn input_place(k: u32) -> u32 {
  return k;
}
