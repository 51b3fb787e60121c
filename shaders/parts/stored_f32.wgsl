// How values of the way forward are kept for the way back: as they are.

alias Stored = vec4f;

fn stored(v: vec4f) -> Stored {
  return v;
}

fn unstored(v: Stored) -> vec4f {
  return v;
}
