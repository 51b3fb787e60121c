// Rows of logits of which a softmax is made: 32 threads go over every 32nd each, and what they have is joined by a tree, so
// that the order is fixed by the width alone. The padding of a row to vec4 is left alone.
//
// Needs logit_at, sum_of_threads, threads.

override width: u32; // classes

const lowest = -3.4028234e38;

// Where a row starts.
fn logits_start(row: u32) -> u32 {
  return row * ((width + 3u) / 4u * 4u);
}

// Of the first `count` logits from a place on.
fn sum_of_exponentials(start: u32, count: u32, largest: f32, thread: u32) -> f32 {
  var sum = 0.0;
  for (var k = thread; k < count; k += threads) {
    sum += exp(logit_at(start + k) - largest);
  }
  return sum_of_threads(thread, sum);
}
