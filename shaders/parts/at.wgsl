// Where in a step a dispatch is; what changes within a step is in group 1.

struct At {
  layer: u32,
  frame: u32,
}

@group(1) @binding(0) var<uniform> at: At;
