/**
 * The LSTM with projection (LSTMP) over whole sequences, and without: then weightHr is left out, m is h, and proj is
 * hidden. Gates in the order i, f, g, o.
 *
 *     z_t = W_ih x_t + b_ih + W_hh h_{t−1} + b_hh;   i, f, o = sigmoid(z);  g = tanh(z)
 *     c_t = f ∘ c_{t−1} + i ∘ g;   m_t = o ∘ tanh(c_t);   h_t = W_hr m_t
 *
 *     for t = T' − 1 … 0, per utterance, t̂ = tanh(c_t):
 *       dh_t = dout_t + W_hhᵀ dz_{t+1};   dm = W_hrᵀ dh_t
 *       dc   = dc_{t+1} ∘ f_{t+1} + dm ∘ o ∘ (1 − t̂²)
 *       dz_t = (dc ∘ g ∘ i(1−i),  dc ∘ c_{t−1} ∘ f(1−f),  dc ∘ i ∘ (1−g²),  dm ∘ t̂ ∘ o(1−o))
 *     dx_t = W_ihᵀ dz_t;  dW_ih = Σ dz_t x_tᵀ;  dW_hh = Σ dz_t h_{t−1}ᵀ;  dW_hr = Σ dh_t m_tᵀ;  db_ih = db_hh = Σ dz_t
 *
 * x (N, T', width), W_ih (4 hidden, width), W_hh (4 hidden, proj), W_hr (proj, hidden), biases (4 hidden), h and m and c
 * (N, T', proj or hidden), gates and dz (N, T', 4 hidden). Training starts from zero states; others are for PyTorch's
 * golden cases: h0 (N, proj), c0 (N, hidden).
 */
import { linear, linearBackward } from './linear.ts';
import { sigmoid, type Numbers } from './numbers.ts';

export interface LstmWeights {
  weightIh: Numbers;
  weightHh: Numbers;
  biasIh: Numbers;
  biasHh: Numbers;
  weightHr?: Numbers;
}

export interface LstmSizes {
  /** N. */
  batch: number;
  /** T'. */
  frames: number;
  /** Of x. */
  width: number;
  hidden: number;
  /** Width of h. */
  proj: number;
}

export interface LstmStates {
  h0?: Numbers;
  c0?: Numbers;
}

/** What forward leaves for backward: the gates are those behind their nonlinearities. */
export type LstmSaved = Record<'h' | 'c' | 'm' | 'gates', Float64Array>;

export function lstm(
  { x, weightIh, weightHh, biasIh, biasHh, weightHr, h0, c0 }: LstmWeights & LstmStates & { x: Numbers },
  { batch, frames, width, hidden, proj }: LstmSizes,
): LstmSaved {
  const h = new Float64Array(batch * frames * proj);
  const c = new Float64Array(batch * frames * hidden);
  const m = new Float64Array(batch * frames * hidden);
  const bias = Float64Array.from(biasIh, (value, k) => value + biasHh[k]);
  const gates = linear({ x, weight: weightIh, bias }, { rows: batch * frames, inputs: width, outputs: 4 * hidden });
  for (let n = 0; n < batch; n++) {
    let hBefore: Numbers = initial(h0, n, proj);
    let cBefore: Numbers = initial(c0, n, hidden);
    for (let t = 0; t < frames; t++) {
      const row = n * frames + t;
      const z = gates.subarray(row * 4 * hidden, (row + 1) * 4 * hidden);
      const recurrent = linear({ x: hBefore, weight: weightHh }, { rows: 1, inputs: proj, outputs: 4 * hidden });
      for (let k = 0; k < 4 * hidden; k++) {
        const isCandidate = k >= 2 * hidden && k < 3 * hidden;
        z[k] = isCandidate ? Math.tanh(z[k] + recurrent[k]) : sigmoid(z[k] + recurrent[k]);
      }
      for (let k = 0; k < hidden; k++) {
        const [i, f, g, o] = [z[k], z[hidden + k], z[2 * hidden + k], z[3 * hidden + k]];
        c[row * hidden + k] = f * cBefore[k] + i * g;
        m[row * hidden + k] = o * Math.tanh(c[row * hidden + k]);
      }
      cBefore = c.subarray(row * hidden, (row + 1) * hidden);
      const own = m.subarray(row * hidden, (row + 1) * hidden);
      hBefore = weightHr ? linear({ x: own, weight: weightHr }, { rows: 1, inputs: hidden, outputs: proj }) : own;
      h.set(hBefore, row * proj);
    }
  }
  return { h, c, m, gates };
}

export interface LstmGradients {
  dx: Float64Array;
  dWeightIh: Float64Array;
  dWeightHh: Float64Array;
  /** Of each of both biases. */
  dBias: Float64Array;
  dWeightHr?: Float64Array;
  /** (N, T', 4 hidden), before the nonlinearities. */
  dz: Float64Array;
  /** (N, T', proj), from above and from the next frame. */
  dh: Float64Array;
  /** (N, T', hidden), of the cell state that a frame starts from: dc ∘ f. */
  dcBefore: Float64Array;
  dh0: Float64Array;
  dc0: Float64Array;
}

/** `dout` is the gradient of h, `dhLast` and `dcLast` further ones of the last frame's h and c. */
export function lstmBackward(
  {
    dout,
    x,
    saved,
    weightIh,
    weightHh,
    weightHr,
    h0,
    c0,
    dhLast,
    dcLast,
  }: Pick<LstmWeights, 'weightIh' | 'weightHh' | 'weightHr'> &
    LstmStates & { dout: Numbers; x: Numbers; saved: LstmSaved; dhLast?: Numbers; dcLast?: Numbers },
  { batch, frames, width, hidden, proj }: LstmSizes,
): LstmGradients {
  const { h, c, m, gates } = saved;
  const dz = new Float64Array(batch * frames * 4 * hidden);
  const dh = Float64Array.from(dout);
  const dh0 = new Float64Array(batch * proj);
  const dc0 = new Float64Array(batch * hidden);
  const dcBefore = new Float64Array(batch * frames * hidden);
  const hBefore = new Float64Array(batch * frames * proj);
  for (let n = 0; n < batch; n++) {
    let dhNext: Numbers = initial(dhLast, n, proj);
    const dc = initial(dcLast, n, hidden);
    hBefore.set(initial(h0, n, proj), n * frames * proj);
    hBefore.set(h.subarray(n * frames * proj, (n * frames + frames - 1) * proj), (n * frames + 1) * proj);
    for (let t = frames - 1; t >= 0; t--) {
      const row = n * frames + t;
      const cBefore = t > 0 ? c.subarray((row - 1) * hidden, row * hidden) : initial(c0, n, hidden);
      const dhNow = dh.subarray(row * proj, (row + 1) * proj);
      dhNow.forEach((value, k) => (dhNow[k] = value + dhNext[k]));
      const dm = weightHr ? transposed({ dy: dhNow, weight: weightHr }, hidden) : dhNow;
      const dzNow = dz.subarray(row * 4 * hidden, (row + 1) * 4 * hidden);
      for (let k = 0; k < hidden; k++) {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => gates[(row * 4 + gate) * hidden + k]);
        const cTanh = Math.tanh(c[row * hidden + k]);
        dc[k] += dm[k] * o * (1 - cTanh ** 2);
        dzNow[k] = dc[k] * g * i * (1 - i);
        dzNow[hidden + k] = dc[k] * cBefore[k] * f * (1 - f);
        dzNow[2 * hidden + k] = dc[k] * i * (1 - g ** 2);
        dzNow[3 * hidden + k] = dm[k] * cTanh * o * (1 - o);
        dc[k] *= f;
      }
      dcBefore.set(dc, row * hidden);
      dhNext = transposed({ dy: dzNow, weight: weightHh }, proj);
    }
    dh0.set(dhNext, n * proj);
    dc0.set(dc, n * hidden);
  }
  const rows = batch * frames;
  const input = linearBackward({ dy: dz, x, weight: weightIh }, { rows, inputs: width, outputs: 4 * hidden });
  const recurrent = { dy: dz, x: hBefore, weight: weightHh };
  return {
    dx: input.dx,
    dWeightIh: input.dWeight,
    dWeightHh: linearBackward(recurrent, { rows, inputs: proj, outputs: 4 * hidden }).dWeight,
    dBias: input.dBias,
    dWeightHr:
      weightHr && linearBackward({ dy: dh, x: m, weight: weightHr }, { rows, inputs: hidden, outputs: proj }).dWeight,
    dz,
    dh,
    dcBefore,
    dh0,
    dc0,
  };
}

/** Row n of (N, width), or zeros. */
const initial = (values: Numbers | undefined, n: number, width: number) =>
  Float64Array.from({ length: width }, (_, k) => (values ? values[n * width + k] : 0));

/** Wᵀ dy of one row. */
function transposed({ dy, weight }: Record<'dy' | 'weight', Numbers>, width: number): Float64Array {
  const dx = new Float64Array(width);
  for (let o = 0; o < dy.length; o++) {
    for (let k = 0; k < width; k++) {
      dx[k] += weight[o * width + k] * dy[o];
    }
  }
  return dx;
}
