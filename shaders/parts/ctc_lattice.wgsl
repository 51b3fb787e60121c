// The lattice of a CTC loss: of each utterance the labels with blanks between and around them, and what they are worth.
//
// Needs step.

struct Utterance {
  frames: u32, // encoder frames
  states: u32, // 2 U + 1
  scale: f32, // of its gradient; where its labels do not fit, each element of it: 0, or not a number
  is_feasible: u32, // whether so many labels fit into so many frames
}

struct Lattice {
  states: u32, // of the longest
}

override width: u32; // classes

@group(0) @binding(0) var<storage, read> log_probs: array<f32>; // (rows, width rounded up to 4)
@group(0) @binding(1) var<storage, read> labels: array<u32>; // (utterances, states)
@group(0) @binding(2) var<storage, read> utterances: array<Utterance>;
@group(0) @binding(9) var<uniform> lattice: Lattice;

// The logarithm of a path's probability that cannot be. In f32 it stays as it is whatever is added to it.
const impossible = -1e30;

fn label(n: u32, s: u32) -> u32 {
  return labels[n * lattice.states + s];
}

fn log_prob(t: u32, n: u32, s: u32) -> f32 {
  return log_probs[(t * step.lanes + n) * ((width + 3u) / 4u * 4u) + label(n, s)];
}

// Whether a path may go from s - 2 to s: over a blank, between two labels that differ.
fn may_skip(n: u32, s: u32) -> bool {
  if (s % 2u == 0u || s < 2u) {
    return false;
  }
  return label(n, s) != label(n, s - 2u);
}

fn log_sum(a: f32, b: f32, c: f32) -> f32 {
  let largest = max(max(a, b), c);
  return largest + log(exp(a - largest) + exp(b - largest) + exp(c - largest));
}

fn place(t: u32, n: u32, s: u32) -> u32 {
  return (t * step.lanes + n) * lattice.states + s;
}
