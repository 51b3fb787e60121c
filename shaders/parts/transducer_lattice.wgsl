// The lattice of a transducer loss. A path makes steps: a blank, which ends a frame, or a symbol, which stays on its frame
// (skew 1) or takes it (skew 0). Behind k steps with u symbols it is at frame t = k - skew * u: no path misses or repeats a k,
// so that each can be normalised by itself, and f32 keeps its precision however long an utterance is.
//
// Needs lattice, log_probs, step.

struct Utterance {
  frames: u32, // encoder frames
  symbols: u32, // U
  scale: f32, // of its gradient; where its symbols do not fit, each element of it: 0, or not a number
  is_feasible: u32, // whether so many symbols fit into so many frames
}

override width: u32; // classes
override skew: u32;

@group(0) @binding(0) var<storage, read> symbols: array<u32>; // (utterances, positions)
@group(0) @binding(1) var<storage, read> utterances: array<Utterance>;

const impossible = -1e30;

// Steps of the longest path that a batch can have.
fn most_steps() -> u32 {
  return step.frames + skew * (lattice.positions - 1u);
}

// Steps of an utterance's paths.
fn steps_of(n: u32) -> u32 {
  return utterances[n].frames + skew * utterances[n].symbols;
}

// Where something of (utterances, steps + 1, positions) lies.
fn place(k: u32, n: u32, u: u32) -> u32 {
  return (n * (most_steps() + 1u) + k) * lattice.positions + u;
}

// Whether there is a frame for the next step.
fn is_inside_lattice(k: u32, n: u32, u: u32) -> bool {
  return k >= skew * u && k < utterances[n].frames + skew * u && u <= utterances[n].symbols;
}

// Whether a path can be there: within the frames, or behind them with all symbols said.
fn is_node(k: u32, n: u32, u: u32) -> bool {
  return is_inside_lattice(k, n, u) || (u == utterances[n].symbols && k == steps_of(n));
}

fn log_prob(k: u32, n: u32, u: u32, symbol: u32) -> f32 {
  let row = (k - skew * u) * step.lanes + n * lattice.positions + u;
  return log_probs[row * ((width + 3u) / 4u * 4u) + symbol];
}

// The next step is a blank.
fn blank(k: u32, n: u32, u: u32) -> f32 {
  if (is_inside_lattice(k, n, u)) {
    return log_prob(k, n, u, 0u);
  }
  return impossible;
}

// The next step is the next symbol.
fn said(k: u32, n: u32, u: u32) -> f32 {
  if (is_inside_lattice(k, n, u) && u < utterances[n].symbols) {
    return log_prob(k, n, u, symbols[n * lattice.positions + u]);
  }
  return impossible;
}

fn log_sum(a: f32, b: f32) -> f32 {
  let largest = max(a, b);
  return max(largest + log(exp(a - largest) + exp(b - largest)), impossible);
}
