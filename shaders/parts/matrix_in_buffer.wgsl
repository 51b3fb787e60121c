// A matrix in a storage buffer, packed as unpack.wgsl has it.

// (ceil(out_vec4s / 8), in_vec4s, weight_bits / 8, 8); where there are several, each padded to a multiple of 16 vec4s
@group(0) @binding(0) var<storage, read> weight: array<vec4u>;

fn packed_at(place: u32) -> vec4u {
  return weight[place];
}
