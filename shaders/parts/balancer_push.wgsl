// How far a balancer pushes four channels: balancer_pushes.wgsl says how it is found.

struct Push {
  share: vec4f, // of |dx|
  size: vec4f, // the same, by the side of zero that x is on
}
