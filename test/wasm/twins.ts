/** Float64 twins of the CPU's kernels, over the layouts that `wasm/` states; `linear` is the shaders' own. */

type Numbers = ArrayLike<number>;

export { linear } from '../shaders/twins.ts';

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
export const doubleSwish = (x: number) => x * sigmoid(x - 1);

export interface ConvSizes {
  times: number;
  freqs: number;
  channels: number;
  outputs: number;
  stride: number;
}

export const outFreqsOf = ({ freqs, stride }: ConvSizes) => Math.floor((freqs - 3) / stride) + 1;

/** conv.ts: y (times, outFreqs, outputs) from x (…, freqs, channels) and weight (3, 3, channels, outputs). */
export function conv({ weight, bias, x }: Record<'weight' | 'bias' | 'x', Numbers>, sizes: ConvSizes): Float64Array {
  const { times, freqs, channels, outputs, stride } = sizes;
  const outFreqs = outFreqsOf(sizes);
  const y = new Float64Array(times * outFreqs * outputs);
  return y.map((_, at) => {
    const [t, f, o] = [Math.floor(at / outputs / outFreqs), Math.floor(at / outputs) % outFreqs, at % outputs];
    let sum = bias[o];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        for (let c = 0; c < channels; c++) {
          const window = ((stride * t + i) * freqs + stride * f + j) * channels + c;
          sum += weight[((i * 3 + j) * channels + c) * outputs + o] * x[window];
        }
      }
    }
    return sum;
  });
}

/** lstm-cell.ts: gates (rows, 4, hidden), c (rows, hidden). */
export function lstmCell(gates: Numbers, c: Numbers, hidden: number): { c: Float64Array; m: Float64Array } {
  const out = { c: Float64Array.from(c), m: new Float64Array(c.length) };
  for (let i = 0; i < c.length; i++) {
    const gate = (n: number) => gates[(4 * Math.floor(i / hidden) + n) * hidden + (i % hidden)];
    out.c[i] = sigmoid(gate(1)) * c[i] + sigmoid(gate(0)) * Math.tanh(gate(2));
    out.m[i] = sigmoid(gate(3)) * Math.tanh(out.c[i]);
  }
  return out;
}

/** basic-norm.ts: x (rows, stride). */
export function basicNorm(x: Numbers, width: number, stride: number, eps: number): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const start = i - (i % stride);
    let sum = 0;
    for (let k = 0; k < width; k++) {
      sum += x[start + k] ** 2;
    }
    return value / Math.sqrt(sum / width + eps);
  });
}

/** quantize-rows.ts: the numbers that x (rows, width) is nearest to, and the scale of each row. */
export function quantizeRows(x: Numbers, width: number): { scale: Float64Array; quantized: Float64Array } {
  const rows = x.length / width;
  const scale = Float64Array.from({ length: rows }, (_, row) => {
    const magnitudes = Array.from({ length: width }, (_, k) => Math.abs(x[row * width + k]));
    return Math.max(...magnitudes) / 32767;
  });
  return { scale, quantized: Float64Array.from(x, (value, i) => value / (scale[Math.floor(i / width)] || 1)) };
}

/** log-softmax.ts: the first `width` of a row. */
export function logSoftmax(row: Numbers, width: number): Float64Array {
  const logits = Float64Array.from({ length: width }, (_, k) => row[k]);
  const largest = Math.max(...logits);
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return logits.map((value) => value - largest - Math.log(sum));
}
