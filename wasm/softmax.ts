// What the two ends of the CTC head share: a row of logits, (stride) with `width` of them, the rest anything.

import { exp, largestLane, log, sumOfLanes } from './arithmetic';

const LOWEST: f32 = -f32.MAX_VALUE;

/** Four logits from k on; those beyond the width are the lowest number. */
@inline
function logitsAt(row: usize, k: i32, width: i32): v128 {
  const inside = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(width - k));
  return v128.bitselect(v128.load(row + (<usize>k << 2)), f32x4.splat(LOWEST), inside);
}

/** max(logits) + ln(sum(exp(logits - max(logits)))) */
export function logSumOfExponentials(row: usize, width: i32): f32 {
  let largest = f32x4.splat(LOWEST);
  for (let k = 0; k < width; k += 4) {
    largest = f32x4.pmax(largest, logitsAt(row, k, width));
  }
  const shift = largestLane(largest);
  let sum = f32x4.splat(0);
  for (let k = 0; k < width; k += 4) {
    sum = f32x4.add(sum, exp(f32x4.sub(logitsAt(row, k, width), f32x4.splat(shift)), 1));
  }
  return shift + log(sumOfLanes(sum));
}
