/** Float64 twins of the kernels, over the layouts that the shaders' headers state. Written to be read beside them. */

type Numbers = ArrayLike<number>;

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const doubleSwish = (x: number) => x * sigmoid(x - 1);
const keep = (values: Numbers) => Float64Array.from(values);

export interface Step {
  lanes: number;
  frames: number;
}

/** Slot and frames of each lane. */
export type Lane = readonly [slot: number, frames: number];

/** conv_first.wgsl: y (lanes, 4n + 3, F - 2, O). */
export function convFirst(
  {
    weight,
    bias,
    context,
    features,
    lanes,
    y,
  }: Record<'weight' | 'bias' | 'context' | 'features' | 'y', Numbers> & { lanes: readonly Lane[] },
  { frames }: Step,
  numFeatures: number,
  outputs: number,
): Float64Array {
  const out = keep(y);
  const times = 4 * frames + 3;
  const freqs = numFeatures - 2;
  lanes.forEach(([slot], lane) => {
    const x = (t: number, f: number) =>
      t < 5 ? context[(slot * 5 + t) * numFeatures + f] : features[(lane * 4 * frames + t - 5) * numFeatures + f];
    for (let t = 0; t < times; t++) {
      for (let f = 0; f < freqs; f++) {
        for (let o = 0; o < outputs; o++) {
          let sum = bias[o];
          for (let i = 0; i < 3; i++) {
            for (let j = 0; j < 3; j++) {
              sum += weight[(i * 3 + j) * outputs + o] * x(t + i, f + j);
            }
          }
          out[((lane * times + t) * freqs + f) * outputs + o] = doubleSwish(sum);
        }
      }
    }
  });
  return out;
}

/** conv_strided.wgsl: y (lanes, outTimes, outFreqs, O) from x (lanes, 2 outTimes + 1, inFreqs, C). */
export function convStrided(
  { weight, bias, x, y }: Record<'weight' | 'bias' | 'x' | 'y', Numbers>,
  {
    lanes,
    outTimes,
    inFreqs,
    outFreqs,
    inputs,
    outputs,
  }: Record<'lanes' | 'outTimes' | 'inFreqs' | 'outFreqs' | 'inputs' | 'outputs', number>,
): Float64Array {
  const out = keep(y);
  const inTimes = 2 * outTimes + 1;
  for (let lane = 0; lane < lanes; lane++) {
    for (let t = 0; t < outTimes; t++) {
      for (let f = 0; f < outFreqs; f++) {
        for (let o = 0; o < outputs; o++) {
          let sum = bias[o];
          for (let i = 0; i < 3; i++) {
            for (let j = 0; j < 3; j++) {
              for (let c = 0; c < inputs; c++) {
                const at = ((lane * inTimes + 2 * t + i) * inFreqs + 2 * f + j) * inputs + c;
                sum += weight[((i * 3 + j) * inputs + c) * outputs + o] * x[at];
              }
            }
          }
          out[((lane * outTimes + t) * outFreqs + f) * outputs + o] = doubleSwish(sum);
        }
      }
    }
  }
  return out;
}

/** save_context.wgsl: context (slots, 5, F). */
export function saveContext(
  { features, context, lanes }: { features: Numbers; context: Numbers; lanes: readonly Lane[] },
  { frames }: Step,
  numFeatures: number,
): Float64Array {
  const out = keep(context);
  lanes.forEach(([slot, own], lane) => {
    for (let t = 0; t < 5; t++) {
      for (let f = 0; f < numFeatures; f++) {
        const row = 4 * own + t;
        out[(slot * 5 + t) * numFeatures + f] =
          row < 5
            ? context[(slot * 5 + row) * numFeatures + f]
            : features[(lane * 4 * frames + row - 5) * numFeatures + f];
      }
    }
  });
  return out;
}

/** linear.wgsl: y (rows, outputs). */
export function linear(
  { weight, bias, x, y }: Record<'weight' | 'bias' | 'x' | 'y', Numbers>,
  rows: number,
  inputs: number,
  outputs: number,
  then: { doubleSwish?: boolean; accumulate?: boolean },
): Float64Array {
  const out = keep(y);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = bias[o];
      for (let k = 0; k < inputs; k++) {
        sum += weight[k * outputs + o] * x[row * inputs + k];
      }
      const value = then.doubleSwish ? doubleSwish(sum) : sum;
      out[row * outputs + o] = then.accumulate ? y[row * outputs + o] + value : value;
    }
  }
  return out;
}

/** basic_norm.wgsl: x (rows, stride), in place. */
export function basicNorm({ eps, x }: Record<'eps' | 'x', Numbers>, rows: number, width: number): Float64Array {
  const out = keep(x);
  const stride = 4 * Math.ceil(width / 4);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let k = 0; k < width; k++) {
      sum += x[row * stride + k] ** 2;
    }
    for (let k = 0; k < stride; k++) {
      out[row * stride + k] *= (sum / width + eps[0]) ** -0.5;
    }
  }
  return out;
}

/** log_softmax.wgsl: x (rows, stride), in place, padding left alone. */
export function logSoftmax({ x }: { x: Numbers }, rows: number, width: number): Float64Array {
  const out = keep(x);
  const stride = 4 * Math.ceil(width / 4);
  for (let row = 0; row < rows; row++) {
    const values = out.subarray(row * stride, row * stride + width);
    const largest = Math.max(...values);
    const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
    values.forEach((value, k) => (values[k] = value - largest - Math.log(sum)));
  }
  return out;
}

export interface RecurrentSizes {
  hidden: number;
  proj: number;
  layers: number;
  layer: number;
  frame: number;
}

/** lstm_cell.wgsl: c (slots, layers, hidden) and m (lanes, hidden). */
export function lstmCell(
  {
    weightHh,
    gatesX,
    h,
    c,
    m,
    lanes,
  }: Record<'weightHh' | 'gatesX' | 'h' | 'c' | 'm', Numbers> & { lanes: readonly Lane[] },
  { frames }: Step,
  { hidden, proj, layers, layer, frame }: RecurrentSizes,
): { c: Float64Array; m: Float64Array } {
  const out = { c: keep(c), m: keep(m) };
  lanes.forEach(([slot, own], lane) => {
    for (let unit = 0; frame < own && unit < hidden; unit++) {
      const [i, f, g, o] = [0, 1, 2, 3].map((gate) => {
        let sum = gatesX[((lane * frames + frame) * hidden + unit) * 4 + gate];
        for (let k = 0; k < proj; k++) {
          sum += weightHh[(k * hidden + unit) * 4 + gate] * h[(slot * layers + layer) * proj + k];
        }
        return sum;
      });
      const cell = (slot * layers + layer) * hidden + unit;
      out.c[cell] = sigmoid(f) * c[cell] + sigmoid(i) * Math.tanh(g);
      out.m[lane * hidden + unit] = sigmoid(o) * Math.tanh(out.c[cell]);
    }
  });
  return out;
}

/** lstm_projection.wgsl: h (slots, layers, proj) and x (lanes, frames, proj). Without a weight: lstm_carry.wgsl. */
export function lstmProjection(
  { weightHr, m, h, x, lanes }: Record<'m' | 'h' | 'x', Numbers> & { weightHr?: Numbers; lanes: readonly Lane[] },
  { frames }: Step,
  { hidden, proj, layers, layer, frame }: RecurrentSizes,
): { h: Float64Array; x: Float64Array } {
  const out = { h: keep(h), x: keep(x) };
  lanes.forEach(([slot, own], lane) => {
    for (let p = 0; frame < own && p < proj; p++) {
      let sum = weightHr ? 0 : m[lane * hidden + p];
      for (let k = 0; weightHr && k < hidden; k++) {
        sum += weightHr[k * proj + p] * m[lane * hidden + k];
      }
      out.h[(slot * layers + layer) * proj + p] = sum;
      out.x[(lane * frames + frame) * proj + p] += sum;
    }
  });
  return out;
}

/** Layers of a wave, the first at `frame` and each further one a frame behind, as the kernels of waves have them. */
function wave({ layer, frame }: RecurrentSizes, layers: number) {
  return Array.from({ length: layers }, (_, z) => ({ layer: layer + z, frame: frame - z }));
}

/** The part of a layer out of (layers, size). */
const ofLayer = (values: Numbers, layer: number, size: number) =>
  Array.from(values).slice(layer * size, (layer + 1) * size);

/** lstm_cell_wave.wgsl, `waveLayers` at a time: c (slots, layers, hidden) and m (lanes, frames, hidden + 4). */
export function lstmCellWave(
  {
    weightIh,
    weightHh,
    vectors,
    x,
    h,
    c,
    m,
    lanes,
  }: Record<'weightIh' | 'weightHh' | 'vectors' | 'x' | 'h' | 'c' | 'm', Numbers> & { lanes: readonly Lane[] },
  step: Step,
  sizes: RecurrentSizes & { width: number; waveLayers: number },
): { c: Float64Array; m: Float64Array } {
  const { hidden, proj, width, waveLayers } = sizes;
  const out: Record<'c' | 'm', Float64Array> = { c: keep(c), m: keep(m) };
  const rows = step.lanes * step.frames;
  for (const { layer, frame } of wave(sizes, waveLayers)) {
    const [eps, , , , ...bias] = ofLayer(vectors, layer, 4 * (1 + 3 * hidden));
    const normed = basicNorm({ eps: [eps], x }, rows, width);
    const weight = ofLayer(weightIh, layer, proj * 4 * hidden);
    const gatesX = linear({ weight, bias, x: normed, y: Array(rows * 4 * hidden) }, rows, proj, 4 * hidden, {});
    const recurrent = { weightHh: ofLayer(weightHh, layer, proj * 4 * hidden), gatesX, h, c: out.c, lanes };
    const cell = lstmCell({ ...recurrent, m: Array(lanes.length * hidden) }, step, { ...sizes, layer, frame });
    out.c = cell.c;
    lanes.forEach(([, own], lane) => {
      const row = lane * step.frames + frame;
      if (frame < own) {
        out.m.set(cell.m.subarray(lane * hidden, (lane + 1) * hidden), row * (hidden + 4));
        const squares = ofLayer(x, row, proj).reduce((sum, value) => sum + value ** 2, 0);
        out.m[row * (hidden + 4) + hidden] = (squares / width + eps) ** -0.5;
      }
    });
  }
  return out;
}

/** lstm_projection_wave.wgsl: h (slots, layers, proj) and x (lanes, frames, proj). */
export function lstmProjectionWave(
  { weightHr, m, h, x, lanes }: Record<'weightHr' | 'm' | 'h' | 'x', Numbers> & { lanes: readonly Lane[] },
  step: Step,
  sizes: RecurrentSizes & { waveLayers: number },
): { h: Float64Array; x: Float64Array } {
  const { hidden, proj, waveLayers } = sizes;
  let out: Record<'h' | 'x', Float64Array> = { h: keep(h), x: keep(x) };
  for (const { layer, frame } of wave(sizes, waveLayers)) {
    const rows = lanes.map(([, own], lane) => {
      const row = lane * step.frames + frame;
      const [n] = ofLayer(m, row, hidden + 4).slice(hidden);
      for (let p = 0; frame < own && p < proj; p++) {
        out.x[row * proj + p] *= n;
      }
      return ofLayer(m, row, hidden + 4).slice(0, hidden);
    });
    const weight = ofLayer(weightHr, layer, hidden * proj);
    out = lstmProjection({ weightHr: weight, m: rows.flat(), ...out, lanes }, step, { ...sizes, layer, frame });
  }
  return out;
}

/** linear.wgsl over wave.wgsl: y (lanes, frames, outputs). */
export function linearWave(
  { weight, bias, x, y }: Record<'weight' | 'bias' | 'x' | 'y', Numbers>,
  { lanes, frames }: Step,
  sizes: { inputs: number; outputs: number; layer: number; frame: number; waveLayers: number },
  then: { doubleSwish?: boolean; accumulate?: boolean },
): Float64Array {
  const { inputs, outputs, waveLayers } = sizes;
  const out = keep(y);
  for (let z = 0; z < waveLayers; z++) {
    const layer = sizes.layer + z;
    const own = { weight: ofLayer(weight, layer, inputs * outputs), bias: ofLayer(bias, layer, outputs), x, y };
    const all = linear(own, lanes * frames, inputs, outputs, then);
    for (let lane = 0; lane < lanes; lane++) {
      const start = (lane * frames + sizes.frame - z) * outputs;
      out.set(all.subarray(start, start + outputs), start);
    }
  }
  return out;
}

/** decoder.wgsl: y (lanes, width). */
export function decoder(
  {
    embedding,
    conv,
    contexts,
    y,
    lanes,
  }: Record<'embedding' | 'conv' | 'contexts' | 'y', Numbers> & { lanes: readonly Lane[] },
  width: number,
  contextSize: number,
): Float64Array {
  const out = keep(y);
  lanes.forEach(([slot], lane) => {
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (let i = 0; i < contextSize; i++) {
        const token = contexts[slot * contextSize + i];
        sum += token < 0 ? 0 : conv[i * width + k] * embedding[token * width + k];
      }
      out[lane * width + k] = Math.max(0, sum);
    }
  });
  return out;
}

/** join.wgsl: y (lanes, width). */
export function join(
  { encoderProj, decoderProj, y }: Record<'encoderProj' | 'decoderProj' | 'y', Numbers>,
  { lanes, frames }: Step,
  width: number,
  frame: number,
): Float64Array {
  const out = keep(y);
  for (let lane = 0; lane < lanes; lane++) {
    for (let k = 0; k < width; k++) {
      out[lane * width + k] = Math.tanh(
        encoderProj[(lane * frames + frame) * width + k] + decoderProj[lane * width + k],
      );
    }
  }
  return out;
}

/** greedy_pick.wgsl: contexts (slots, context_size) and picked (lanes, frames, 4). */
export function greedyPick(
  { logits, contexts, picked, lanes }: Record<'logits' | 'contexts' | 'picked', Numbers> & { lanes: readonly Lane[] },
  { frames }: Step,
  { width, contextSize, silent, frame }: { width: number; contextSize: number; silent: number[]; frame: number },
): { contexts: Float64Array; picked: Float64Array } {
  const out = { contexts: keep(contexts), picked: keep(picked) };
  const stride = 4 * Math.ceil(width / 4);
  lanes.forEach(([slot, own], lane) => {
    if (frame < own) {
      const row = Array.from({ length: width }, (_, k) => logits[lane * stride + k]);
      const token = row.indexOf(Math.max(...row));
      const sum = row.reduce((total, value) => total + Math.exp(value - row[token]), 0);
      out.picked.set([token, -Math.log(sum), 0, 0], 4 * (lane * frames + frame));
      if (!silent.includes(token)) {
        const start = slot * contextSize;
        out.contexts.copyWithin(start, start + 1, start + contextSize);
        out.contexts[start + contextSize - 1] = token;
      }
    }
  });
  return out;
}

/** ctc_pick.wgsl. */
export function ctcPick(
  { logits, picked }: Record<'logits' | 'picked', Numbers>,
  { rows, width, blank, blankPenalty }: { rows: number; width: number; blank: number; blankPenalty: number },
): Float64Array {
  const out = keep(picked);
  const stride = 4 * Math.ceil(width / 4);
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: width }, (_, k) => logits[row * stride + k]);
    const wanted = values.map((value, k) => (k === blank ? value - blankPenalty : value));
    const token = wanted.indexOf(Math.max(...wanted));
    const largest = Math.max(...values);
    const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
    out.set([token, values[token] - largest - Math.log(sum), 0, 0], 4 * row);
  }
  return out;
}
