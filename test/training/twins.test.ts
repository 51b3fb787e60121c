/** Each float64 twin against PyTorch's float64 (test/fixtures/training/ops), and its backward against differences. */
import { beforeAll, describe, it } from 'vitest';
import { expectWithinShare } from '../support/close.ts';
import { dot, expectGradients, randoms64 } from '../support/gradients.ts';
import { trainingJson } from '../support/training.ts';
import { balancerBackward } from './twins/balancer.ts';
import { basicNorm, basicNormBackward } from './twins/basic-norm.ts';
import { bypass, bypassBackward } from './twins/bypass.ts';
import { conv, convBackward, convolved, type ConvSizes } from './twins/conv.ts';
import { doubleSwish, doubleSwishBackward } from './twins/double-swish.ts';
import { dropout } from './twins/dropout.ts';
import { gradientFilter } from './twins/gradient-filter.ts';
import { linear, linearBackward } from './twins/linear.ts';
import { logSoftmax } from '../../src/training/cpu/log-softmax.ts';
import { logSoftmaxBackward } from './twins/log-softmax.ts';
import { lstm, lstmBackward, type LstmSizes } from './twins/lstm.ts';
import { randomCombine, randomCombineBackward } from './twins/random-combine.ts';

/** Both are float64: some hundred operations apart. */
const FLOAT64 = 1e-12;
const OPS = 'ops/ops.json';

type Nested = number | Nested[];

interface Op {
  in: Record<string, Nested>;
  out: Nested[];
  d_out: Nested[];
  d_in: Record<string, Nested>;
}

function flat(nested: Nested): Float64Array {
  return Float64Array.from(Array.isArray(nested) ? nested.flatMap((each) => [...flat(each)]) : [nested]);
}

/** (T, N, width) as PyTorch has it to (N, T, width), or back. */
const swapped = (values: Float64Array, rows: number, columns: number) => {
  const width = values.length / rows / columns;
  return values.map((_, at) => {
    const [column, row, k] = [Math.floor(at / width / rows), Math.floor(at / width) % rows, at % width];
    return values[(row * columns + column) * width + k];
  });
};

let ops: Record<string, Op>;

/** A golden case with its arrays flat. */
function golden(name: string) {
  const op = ops[name];
  const arrays = (nested: Record<string, Nested>) =>
    Object.fromEntries(Object.entries(nested).map(([key, value]) => [key, flat(value)]));
  return { in: arrays(op.in), out: op.out.map(flat), dOut: op.d_out.map(flat), dIn: arrays(op.d_in) };
}

beforeAll(async () => {
  ops = await trainingJson(OPS);
});

describe('linear', () => {
  it('has the gradients of finite differences', () => {
    const sizes = { rows: 3, inputs: 5, outputs: 7 };
    const inputs = { x: randoms64(15, 1), weight: randoms64(35, 2), bias: randoms64(7, 3) };
    const dy = randoms64(21, 4);
    const { dx, dWeight, dBias } = linearBackward({ ...inputs, dy }, sizes);
    expectGradients(inputs, (given) => dot(linear(given, sizes), dy), { x: dx, weight: dWeight, bias: dBias });
  });
});

describe('doubleSwish', () => {
  it("equals PyTorch's", () => {
    const { in: given, out, dOut, dIn } = golden('double_swish');
    expectWithinShare(doubleSwish(given.x), out[0], FLOAT64);
    expectWithinShare(doubleSwishBackward({ dy: dOut[0], x: given.x }), dIn.x, FLOAT64);
  });

  it('has the gradients of finite differences', () => {
    const [x, dy] = [randoms64(9, 1, 4), randoms64(9, 2)];
    expectGradients({ x }, (given) => dot(doubleSwish(given.x), dy), { x: doubleSwishBackward({ dy, x }) });
  });
});

describe('basicNorm', () => {
  it("equals PyTorch's", () => {
    const { in: given, out, dOut, dIn } = golden('basic_norm');
    const [x, eps, sizes] = [given.x, given.log_eps[0], { rows: 3, width: 7 }];
    expectWithinShare(basicNorm({ x, eps }, sizes), out[0], FLOAT64);
    const { dx, dEps } = basicNormBackward({ dy: dOut[0], x, eps }, sizes);
    expectWithinShare(dx, dIn.x, FLOAT64);
    expectWithinShare([dEps], dIn.log_eps, FLOAT64);
  });

  it('has the gradients of finite differences', () => {
    const sizes = { rows: 5, width: 3 };
    const inputs = { x: randoms64(15, 1), eps: Float64Array.of(-1.3) };
    const dy = randoms64(15, 2);
    const { dx, dEps } = basicNormBackward({ dy, x: inputs.x, eps: -1.3 }, sizes);
    const loss = ({ x, eps }: Readonly<Record<'x' | 'eps', Float64Array>>) =>
      dot(basicNorm({ x, eps: eps[0] }, sizes), dy);
    expectGradients(inputs, loss, { x: dx, eps: [dEps] });
  });
});

describe('conv', () => {
  it.each<[string, ConvSizes]>([
    ['conv_stride1', { batch: 1, inputs: 1, outputs: 2, times: 6, freqs: 5, stride: 1 }],
    ['conv_stride2', { batch: 2, inputs: 3, outputs: 4, times: 9, freqs: 8, stride: 2 }],
  ])("equals PyTorch's: %s", (name, sizes) => {
    const { in: given, out, dOut, dIn } = golden(name);
    expectWithinShare(conv({ x: given.x, weight: given.w, bias: given.b }, sizes), out[0], FLOAT64);
    const { dx, dWeight, dBias } = convBackward({ dy: dOut[0], x: given.x, weight: given.w }, sizes);
    expectWithinShare(dx, dIn.x, FLOAT64, 'dx');
    expectWithinShare(dWeight, dIn.w, FLOAT64, 'dWeight');
    expectWithinShare(dBias, dIn.b, FLOAT64, 'dBias');
  });

  it.each([1, 2])('has the gradients of finite differences with stride %i', (stride) => {
    const sizes = { batch: 2, inputs: 2, outputs: 3, times: 6, freqs: 4, stride };
    const inputs = { x: randoms64(96, 1), weight: randoms64(54, 2), bias: randoms64(3, 3) };
    const dy = randoms64(2 * 3 * convolved(6, stride) * convolved(4, stride), 4);
    const { dx, dWeight, dBias } = convBackward({ ...inputs, dy }, sizes);
    expectGradients(inputs, (given) => dot(conv(given, sizes), dy), { x: dx, weight: dWeight, bias: dBias });
  });
});

describe('logSoftmax', () => {
  it("equals PyTorch's", () => {
    const { in: given, out, dOut, dIn } = golden('log_softmax');
    const y = logSoftmax(given.x, 6);
    expectWithinShare(y, out[0], FLOAT64);
    expectWithinShare(logSoftmaxBackward({ dy: dOut[0], y }, 6), dIn.x, FLOAT64);
  });

  it('has the gradients of finite differences', () => {
    const [x, dy] = [randoms64(15, 1, 3), randoms64(15, 2)];
    const dx = logSoftmaxBackward({ dy, y: logSoftmax(x, 5) }, 5);
    expectGradients({ x }, (given) => dot(logSoftmax(given.x, 5), dy), { x: dx });
  });
});

describe('what is drawn', () => {
  it('lets gradients through as it lets values through', () => {
    const inputs = { x: randoms64(6, 1), y: randoms64(6, 2) };
    const dy = randoms64(6, 3);
    const mask = [1, 0, 1, 1, 0, 1];
    const dropped = dropout(dy, mask, 0.1);
    expectGradients({ x: inputs.x }, ({ x }) => dot(dropout(x, mask, 0.1), dy), { x: dropped });
    const { dx, dy: dBypassed } = bypassBackward(dy, 0.3);
    expectGradients(inputs, (given) => dot(bypass(given, 0.3), dy), { x: dx, y: dBypassed });
    const weights = randoms64(4, 4);
    const [first, second] = randomCombineBackward(dy, weights, 2, 3);
    const combined = ({ x, y }: Readonly<Record<'x' | 'y', Float64Array>>) => randomCombine([x, y], weights, 3);
    expectGradients(inputs, (given) => dot(combined(given), dy), { x: first, y: second });
  });
});

describe("icefall's gradient shaping", () => {
  it("is PyTorch's balancer", () => {
    const { in: given, dOut, dIn } = golden('balancer');
    const options = { minPositive: 0.45, maxPositive: 0.55, maxAbs: 6 };
    const dx = balancerBackward({ dy: dOut[0], x: given.x }, { channels: 6, inner: 1 }, options);
    expectWithinShare(dx, dIn.x, FLOAT64);
  });

  it("is PyTorch's gradient filter", async () => {
    const { gradient_filter: op } = await trainingJson<Record<string, Record<'d_out' | 'd_in', Nested[]>>>(OPS);
    const [dx, weightGradient] = op.d_out.map(flat);
    const [filteredX, filteredWeight] = op.d_in.map(flat);
    const filtered = gradientFilter(swapped(dx, 5, 3), 3);
    expectWithinShare(filtered.dx, swapped(filteredX, 5, 3), FLOAT64);
    const factored = weightGradient.map((value) => value * filtered.weightFactor);
    expectWithinShare(factored, filteredWeight, FLOAT64);
  });
});

describe('lstm', () => {
  it.each<[string, LstmSizes]>([
    ['lstm', { batch: 2, frames: 6, width: 4, hidden: 4, proj: 4 }],
    ['lstm_projected', { batch: 2, frames: 6, width: 3, hidden: 5, proj: 3 }],
  ])("equals PyTorch's: %s", (name, sizes) => {
    const { in: given, out, dOut, dIn } = golden(name);
    const { frames, batch, hidden } = sizes;
    const x = swapped(given.x, frames, batch);
    const weights = {
      weightIh: given.weight_ih_l0,
      weightHh: given.weight_hh_l0,
      biasIh: given.bias_ih_l0,
      biasHh: given.bias_hh_l0,
      weightHr: given.weight_hr_l0 as Float64Array | undefined,
    };
    const states = { h0: given.h0, c0: given.c0 };
    const saved = lstm({ x, ...weights, ...states }, sizes);
    expectWithinShare(saved.h, swapped(out[0], frames, batch), FLOAT64, 'h');
    const lastCells = [0, 1].flatMap((n) => [
      ...saved.c.subarray(((n + 1) * frames - 1) * hidden, (n + 1) * frames * hidden),
    ]);
    expectWithinShare(lastCells, out[2], FLOAT64, 'last c');
    const dout = swapped(dOut[0], frames, batch);
    const last = { dhLast: dOut[1], dcLast: dOut[2] };
    const gradients = lstmBackward({ dout, x, saved, ...weights, ...states, ...last }, sizes);
    expectWithinShare(gradients.dx, swapped(dIn.x, frames, batch), FLOAT64, 'dx');
    expectWithinShare(gradients.dWeightIh, dIn.weight_ih_l0, FLOAT64, 'dWeightIh');
    expectWithinShare(gradients.dWeightHh, dIn.weight_hh_l0, FLOAT64, 'dWeightHh');
    expectWithinShare(gradients.dBias, dIn.bias_ih_l0, FLOAT64, 'dBias');
    expectWithinShare(gradients.dh0, dIn.h0, FLOAT64, 'dh0');
    expectWithinShare(gradients.dc0, dIn.c0, FLOAT64, 'dc0');
    if (gradients.dWeightHr) {
      expectWithinShare(gradients.dWeightHr, dIn.weight_hr_l0, FLOAT64, 'dWeightHr');
    }
  });

  it('has the gradients of finite differences', () => {
    const sizes = { batch: 2, frames: 3, width: 2, hidden: 3, proj: 2 };
    const inputs = {
      x: randoms64(12, 1),
      weightIh: randoms64(24, 2),
      weightHh: randoms64(24, 3),
      biasIh: randoms64(12, 4),
      biasHh: randoms64(12, 5),
      weightHr: randoms64(6, 6),
    };
    const dout = randoms64(12, 7);
    const gradients = lstmBackward({ ...inputs, dout, saved: lstm(inputs, sizes) }, sizes);
    expectGradients(inputs, (given) => dot(lstm(given, sizes).h, dout), {
      x: gradients.dx,
      weightIh: gradients.dWeightIh,
      weightHh: gradients.dWeightHh,
      biasIh: gradients.dBias,
      biasHh: gradients.dBias,
      weightHr: gradients.dWeightHr ?? [],
    });
  });
});
