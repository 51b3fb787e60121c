// What a spike loss is told of each utterance: the token that exactly one frame of a window says. All other frames say blank.
//
// Needs step.

struct Spike {
  frames: u32, // encoder frames
  token: u32,
  first: u32, // frame of the window
  end: u32, // behind its last frame; first, where all frames say blank
  scale: f32, // of its gradient; 0 or not a number, where the window has no frame of it
  is_own: u32, // whether this loss is the utterance's
}

override width: u32; // classes

@group(0) @binding(0) var<storage, read> log_probs: array<f32>; // (rows, width rounded up to 4)
@group(0) @binding(1) var<storage, read> spikes: array<Spike>; // (utterances)

const impossible = -1e30;

fn is_in_window(t: u32, n: u32) -> bool {
  return t >= spikes[n].first && t < spikes[n].end;
}

fn log_prob(t: u32, n: u32, k: u32) -> f32 {
  return log_probs[(t * step.lanes + n) * ((width + 3u) / 4u * 4u) + k];
}

// How much more likely a frame says the token than blank, as a logarithm.
fn ratio(t: u32, n: u32) -> f32 {
  return log_prob(t, n, spikes[n].token) - log_prob(t, n, 0u);
}
