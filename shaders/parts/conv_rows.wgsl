// Rows of a convolution's output in training, one for each place: time t, utterance n, frequency f, in this order. Row of a
// place: (t * step.lanes + n) * out_freqs + f.
//
// Needs step.

override out_freqs: u32;
override times_per_frame: u32; // a step of F encoder frames has times_per_frame * F + times_extra of them here
override times_extra: u32;

fn rows() -> u32 {
  return (times_per_frame * step.frames + times_extra) * step.lanes * out_freqs;
}
