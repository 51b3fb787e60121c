// One step back through the LSTM's cells, for each row; i, f, g, o are the gates behind their nonlinearities, made again:
//
//   t = tanh(c);  dc = dc + dm o (1 - t^2)
//   dz = (dc g i (1 - i), dc cBefore f (1 - f), dc i (1 - g^2), dm t o (1 - o));  dc = dc f
//
//   gates: f32 (rows, 4, hidden), in place: from z, as lstm-cell.ts takes them in, to dz; in PyTorch's order i, f, g, o
//   c, cBefore: f32 (rows, hidden), of this frame and of the one before it
//   dm: f32 (rows, hidden)
//   dc: f32 (rows, hidden), in place: from the next frame's to the one before's
//   hidden a multiple of 4; where dm and dc are zero, dz is

import { sigmoid, tanh } from './arithmetic';

/** d (1 - d) */
@inline
function slope(d: v128): v128 {
  return f32x4.mul(d, f32x4.sub(f32x4.splat(1), d));
}

/** 1 - d^2 */
@inline
function slopeOfTanh(d: v128): v128 {
  return f32x4.sub(f32x4.splat(1), f32x4.mul(d, d));
}

export function lstmCellGradient(
  gates: usize,
  c: usize,
  cBefore: usize,
  dm: usize,
  dc: usize,
  rows: i32,
  hidden: i32,
): void {
  const gate = <usize>hidden << 2;
  for (let row = 0; row < rows; row++) {
    for (const end = c + gate; c < end; gates += 16, c += 16, cBefore += 16, dm += 16, dc += 16) {
      const i = sigmoid(v128.load(gates));
      const f = sigmoid(v128.load(gates + gate));
      const g = tanh(v128.load(gates + 2 * gate));
      const o = sigmoid(v128.load(gates + 3 * gate));
      const t = tanh(v128.load(c));
      const ofM = v128.load(dm);
      const ofC = f32x4.add(v128.load(dc), f32x4.mul(f32x4.mul(ofM, o), slopeOfTanh(t)));
      v128.store(gates, f32x4.mul(f32x4.mul(ofC, g), slope(i)));
      v128.store(gates + gate, f32x4.mul(f32x4.mul(ofC, v128.load(cBefore)), slope(f)));
      v128.store(gates + 2 * gate, f32x4.mul(f32x4.mul(ofC, i), slopeOfTanh(g)));
      v128.store(gates + 3 * gate, f32x4.mul(f32x4.mul(ofM, t), slope(o)));
      v128.store(dc, f32x4.mul(ofC, f));
    }
    gates += 3 * gate;
  }
}
