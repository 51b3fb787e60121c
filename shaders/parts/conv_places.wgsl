// What a 3x3 convolution reads: nine taps, i over time and j over frequency, tap = 3 i + j, `stride` apart from one output to
// the next, without padding.
//
// Needs out_freqs, step.

override in_freqs: u32;
override stride: u32;

// The input's row of a tap of an output's row.
fn tap_row(row: u32, tap: u32) -> u32 {
  let f = row % out_freqs;
  let frame = row / out_freqs; // t * lanes + n
  let n = frame % step.lanes;
  let t = stride * (frame / step.lanes) + tap / 3u;
  return (t * step.lanes + n) * in_freqs + stride * f + tap % 3u;
}
