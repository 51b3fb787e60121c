// How values of the way forward are kept for the way back: four in f16, in half of the bytes. What is beyond 65504 becomes
// infinite, by the devices there are; WGSL leaves it open.

alias Stored = vec2u;

fn stored(v: vec4f) -> Stored {
  return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

fn unstored(v: Stored) -> vec4f {
  return vec4f(unpack2x16float(v.x), unpack2x16float(v.y));
}
