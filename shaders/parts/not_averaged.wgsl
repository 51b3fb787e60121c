// Parameters have no running average.

fn keep_average(k: u32, w: vec4f) {}
