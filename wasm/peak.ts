// As many multiplications and additions as the machine does: turns * 48 of each of four floats, in registers, twelve sums
// side by side. What a product could reach at most, for figures.

import { multiplyAdd, sumOfLanes } from './arithmetic';

@inline
function four(sum: v128, by: v128): v128 {
  return multiplyAdd(multiplyAdd(multiplyAdd(multiplyAdd(sum, by, by), by, by), by, by), by, by);
}

export function peak(turns: i32): f32 {
  const by = f32x4.splat(0.5);
  let a = by;
  let b = by;
  let c = by;
  let d = by;
  let e = by;
  let f = by;
  let g = by;
  let h = by;
  let i = by;
  let j = by;
  let k = by;
  let l = by;
  for (; turns > 0; turns--) {
    a = four(a, by);
    b = four(b, by);
    c = four(c, by);
    d = four(d, by);
    e = four(e, by);
    f = four(f, by);
    g = four(g, by);
    h = four(h, by);
    i = four(i, by);
    j = four(j, by);
    k = four(k, by);
    l = four(l, by);
  }
  const first = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h)));
  return sumOfLanes(f32x4.add(first, f32x4.add(f32x4.add(i, j), f32x4.add(k, l))));
}
