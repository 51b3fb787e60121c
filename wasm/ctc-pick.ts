// The greedy choice of the CTC head, for each row:
//
//   token = argmax(logits - penalty of the blank), the first of equals
//   log_prob = logits[token] - max(logits) - ln(sum(exp(logits - max(logits))))
//
//   logits: f32 (rows, stride), of which `width` are logits; stride a multiple of 4
//   picked: f32 (rows, 2) of token, log_prob

import { logSumOfExponentials } from './softmax';

export function ctcPick(
  logits: usize,
  picked: usize,
  rows: i32,
  width: i32,
  stride: i32,
  blank: i32,
  blankPenalty: f32,
): void {
  for (let row = 0; row < rows; row++) {
    let best = -f32.MAX_VALUE;
    let token = 0;
    for (let k = 0; k < width; k++) {
      const logit = load<f32>(logits + (<usize>k << 2));
      const wanted = k == blank ? logit - blankPenalty : logit;
      if (wanted > best) {
        best = wanted;
        token = k;
      }
    }
    store<f32>(picked, <f32>token);
    store<f32>(picked, load<f32>(logits + (<usize>token << 2)) - logSumOfExponentials(logits, width), 4);
    logits += <usize>stride << 2;
    picked += 8;
  }
}
