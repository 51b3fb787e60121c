// What several kernels compute with, four floats at a time. No fused multiply-add: WebAssembly has none that gives the
// same bits everywhere.

/** a * b + c, rounded twice. */
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, b), c);
}

/** 1.5 * 2^23: added to a float of at most 2^22, it leaves the nearest whole number in the low bits. */
export const ROUNDING: f32 = 12582912;

const LOG2_E: f32 = 1.44269504088896341;

/**
 * exp(by * x), within 3e-7 relative near zero and another |by * x| * 6e-8 further out; by * x is cut off at -87 and 87, so
 * that results are normal numbers.
 *
 *   exp(x) = 2^n 2^f,  n = round(x / ln 2),  f = x / ln 2 - n,  2^f a polynomial of degree 5, minimax over -0.5 to 0.5
 *
 * Preconditions: x is no NaN.
 */
@inline
export function exp(x: v128, by: f32): v128 {
  const limit: f32 = 87 * LOG2_E;
  const y = f32x4.pmin(f32x4.pmax(f32x4.mul(x, f32x4.splat(LOG2_E * by)), f32x4.splat(-limit)), f32x4.splat(limit));
  const t = f32x4.add(y, f32x4.splat(ROUNDING));
  const f = f32x4.sub(y, f32x4.sub(t, f32x4.splat(ROUNDING)));
  let p = multiplyAdd(f32x4.splat(1.327647198e-3), f, f32x4.splat(9.675541334e-3));
  p = multiplyAdd(p, f, f32x4.splat(5.550713274e-2));
  p = multiplyAdd(p, f, f32x4.splat(2.402211972e-1));
  p = multiplyAdd(p, f, f32x4.splat(6.931469671e-1));
  p = multiplyAdd(p, f, f32x4.splat(1.000000072));
  // The low bits of t are n; added to the exponent they multiply by 2^n.
  return i32x4.add(p, i32x4.shl(t, 23));
}

/** 1 / (1 + exp(-x)) */
@inline
export function sigmoid(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp(x, -1)));
}

/** 1 - 2 / (1 + exp(2 x)) */
@inline
export function tanh(x: v128): v128 {
  return f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(f32x4.splat(1), exp(x, 2))));
}

/**
 * ln(x) of one float, within about one ulp (Cephes logf).
 *
 * Preconditions: x is a normal number above zero.
 */
export function log(x: f32): f32 {
  const bits = reinterpret<i32>(x);
  let exponent = (bits >> 23) - 126;
  // Between 0.5 and 1.
  let m = reinterpret<f32>((bits & 0x007fffff) | 0x3f000000);
  if (m < <f32>0.70710678) {
    exponent--;
    m += m;
  }
  m -= 1;
  const z = m * m;
  let p: f32 = 7.0376836292e-2;
  p = p * m - <f32>1.1514610310e-1;
  p = p * m + <f32>1.1676998740e-1;
  p = p * m - <f32>1.2420140846e-1;
  p = p * m + <f32>1.4249322787e-1;
  p = p * m - <f32>1.6668057665e-1;
  p = p * m + <f32>2.0000714765e-1;
  p = p * m - <f32>2.4999993993e-1;
  p = p * m + <f32>3.3333331174e-1;
  const e = <f32>exponent;
  const tail = m * z * p + e * <f32>-2.12194440e-4 - <f32>0.5 * z;
  return m + tail + e * <f32>0.693359375;
}

/** The sum of the four lanes: (0 + 1) + (2 + 3). */
@inline
export function sumOfLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** The largest of the four lanes. */
@inline
export function largestLane(v: v128): f32 {
  const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
  return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}
