// One step of the LSTM's cells, for each row:
//
//   c = sigmoid(f) * c + sigmoid(i) * tanh(g)
//   m = sigmoid(o) * tanh(c)
//
//   gates: f32 (rows, 4, hidden), both halves and biases summed, in PyTorch's order i, f, g, o
//   c: f32 (rows, hidden), in place
//   m: f32 (rows, hidden)
//   hidden a multiple of 4; where gates and c are zero, c stays zero and m is

import { sigmoid, tanh } from './arithmetic';

export function lstmCell(gates: usize, c: usize, m: usize, rows: i32, hidden: i32): void {
  const gate = <usize>hidden << 2;
  for (let row = 0; row < rows; row++) {
    for (const end = c + gate; c < end; gates += 16, c += 16, m += 16) {
      const i = sigmoid(v128.load(gates));
      const f = sigmoid(v128.load(gates + gate));
      const g = tanh(v128.load(gates + 2 * gate));
      const o = sigmoid(v128.load(gates + 3 * gate));
      const cell = f32x4.add(f32x4.mul(f, v128.load(c)), f32x4.mul(i, g));
      v128.store(c, cell);
      v128.store(m, f32x4.mul(o, tanh(cell)));
    }
    gates += 3 * gate;
  }
}
