// Rows of a transducer's lattice: encoder frame t, utterance n, and a position u, which is how many symbols are said before.
// Row: (t * utterances + n) * positions + u. In a kernel over them, or over rows n * positions + u of the decoder,
// step.lanes is utterances * positions.

struct Lattice {
  positions: u32, // U + 1 of the longest target
  frames: u32, // encoder frames of the longest utterance
}

@group(0) @binding(9) var<uniform> lattice: Lattice;
