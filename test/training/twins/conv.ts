/**
 * A 3x3 convolution without padding, with the same stride over time and frequency.
 *
 *     y[o,t,f] = b[o] + Σ_{c,i,j} W[o,c,i,j] x[c, st + i, sf + j]
 *     dW[o,c,i,j] = Σ dy[o,t,f] x[c, st + i, sf + j];  db[o] = Σ dy[o,t,f]
 *     dx[c, st + i, sf + j] += Σ_o W[o,c,i,j] dy[o,t,f]
 *
 * Rows and columns of x that no output reads get dx = 0. Layouts are PyTorch's: x (N, inputs, times, freqs), W (outputs,
 * inputs, 3, 3), b (outputs), y (N, outputs, outTimes, outFreqs).
 */
import type { Numbers } from './numbers.ts';

export interface ConvSizes {
  /** N. */
  batch: number;
  inputs: number;
  outputs: number;
  /** Of x. */
  times: number;
  freqs: number;
  stride: number;
}

/** Times or frequencies of y. */
export const convolved = (length: number, stride: number) => Math.floor((length - 3) / stride) + 1;

export function conv(
  { x, weight, bias }: Record<'x' | 'weight' | 'bias', Numbers>,
  { batch, inputs, outputs, times, freqs, stride }: ConvSizes,
): Float64Array {
  const [outTimes, outFreqs] = [convolved(times, stride), convolved(freqs, stride)];
  const y = new Float64Array(batch * outputs * outTimes * outFreqs);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      for (let t = 0; t < outTimes; t++) {
        for (let f = 0; f < outFreqs; f++) {
          let sum = bias[o];
          for (let c = 0; c < inputs; c++) {
            for (let i = 0; i < 3; i++) {
              const from = ((n * inputs + c) * times + stride * t + i) * freqs + stride * f;
              const w = ((o * inputs + c) * 3 + i) * 3;
              sum += weight[w] * x[from] + weight[w + 1] * x[from + 1] + weight[w + 2] * x[from + 2];
            }
          }
          y[((n * outputs + o) * outTimes + t) * outFreqs + f] = sum;
        }
      }
    }
  }
  return y;
}

export function convBackward(
  { dy, x, weight }: Record<'dy' | 'x' | 'weight', Numbers>,
  { batch, inputs, outputs, times, freqs, stride }: ConvSizes,
): Record<'dx' | 'dWeight' | 'dBias', Float64Array> {
  const [outTimes, outFreqs] = [convolved(times, stride), convolved(freqs, stride)];
  const dx = new Float64Array(batch * inputs * times * freqs);
  const dWeight = new Float64Array(outputs * inputs * 9);
  const dBias = new Float64Array(outputs);
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      for (let t = 0; t < outTimes; t++) {
        for (let f = 0; f < outFreqs; f++) {
          const d = dy[((n * outputs + o) * outTimes + t) * outFreqs + f];
          dBias[o] += d;
          for (let c = 0; c < inputs; c++) {
            for (let i = 0; i < 3; i++) {
              const from = ((n * inputs + c) * times + stride * t + i) * freqs + stride * f;
              const w = ((o * inputs + c) * 3 + i) * 3;
              for (let j = 0; j < 3; j++) {
                dWeight[w + j] += d * x[from + j];
                dx[from + j] += d * weight[w + j];
              }
            }
          }
        }
      }
    }
  }
  return { dx, dWeight, dBias };
}
