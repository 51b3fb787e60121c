// What an optimizer's step knows of each parameter. In icefall's scaled parametrisation a tensor W = w * e^s, of which w and s
// are stored; without it e^s is 1, and w is W.

struct Total {
  squares: f32, // of the gradient of what is stored: w, and s
  rms: f32, // root mean square of w
  scale_gradient: f32, // of s
  scale: f32, // e^s before the step
  next_scale: f32, // e^s behind it
}
