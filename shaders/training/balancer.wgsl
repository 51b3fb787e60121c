// icefall's ActivationBalancer on the way back, by what balancer_pushes.wgsl found for each channel:
//
//   dx -= |dx| * (share + size * ([x > 0] - 1/2))
//
// A thread: a vec4. Workgroups: threads over rows * row_vec4s, folded into y beyond 65535.

override row_vec4s: u32; // ceil(channels / 4)

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // (rows, row_vec4s)
@group(0) @binding(1) var<storage, read> pushes: array<Push>; // (row_vec4s)
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // (rows, row_vec4s)

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let place = id.y * groups.x * 32u + id.x;
  if (place >= rows() * row_vec4s) {
    return;
  }
  let push = pushes[place % row_vec4s];
  let side = select(vec4f(-0.5), vec4f(0.5), x[place] > vec4f(0.0));
  let d = dx[place];
  dx[place] = d - abs(d) * (push.share + push.size * side);
}
