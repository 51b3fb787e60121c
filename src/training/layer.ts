import type { EncoderSizes } from '../model/sizes.ts';
import { vec4s } from '../webgpu/weights.ts';
import type { Activations } from './activations.ts';
import * as kernels from './kernels.generated.ts';
import { layerPrefix } from './layout.ts';
import {
  byFourRows,
  byFourUtterances,
  byRow,
  type BatchSize,
  type Operation,
  type OperationMaker,
  runAll,
} from './operations.ts';
import type { Parameters } from './parameters.ts';
import { BALANCERS, type Shaping } from './shaping.ts';

/** What the operations of a network are made of. */
export interface NetworkParts {
  maker: OperationMaker;
  sizes: EncoderSizes;
  parameters: Parameters;
  activations: Activations;
  /** How large a batch is, and which frame or layer a dispatch is for. */
  step: GPUBuffer;
  at: GPUBuffer;
  /** Probability of dropout. */
  dropout: number;
}

/** What the operations of the way back are made of. */
export interface BackwardParts extends NetworkParts {
  shaping: Shaping;
}

/** A layer's way forward. */
export interface ForwardPlan {
  before: readonly Operation[];
  /** For each frame, from the first. */
  perFrame: readonly Operation[];
  after: readonly Operation[];
  /** The last: it is for the layer, by its ordinal, and writes the next layer's input. */
  bypass: Operation;
}

/** A layer's way back. */
export interface BackwardPlan {
  bypassGradient: Operation;
  before: readonly Operation[];
  /** For each frame but the last, before {@link perFrame}. */
  fromNext: Operation;
  /** For each frame, from the last. */
  perFrame: Operation;
  after: readonly Operation[];
}

/** Overrides of kernels that read a dropout mask. */
export const maskOf = (dropout: number) => ({
  is_masked: dropout > 0 ? 1 : 0,
  keep_scale: 1 / (1 - dropout),
});

/** A linear layer, by the name of its weight and bias. */
export function linear(
  { maker, parameters, step }: Pick<NetworkParts, 'maker' | 'parameters' | 'step'>,
  name: string,
  inVec4s: number,
  outVec4s: number,
  { x, y }: { x: GPUBuffer; y: GPUBuffer },
): Promise<Operation> {
  const [weight, bias] = [parameters.of(`${name}.weight`).value, parameters.of(`${name}.bias`).value];
  const widths = { in_vec4s: inVec4s, out_vec4s: outVec4s };
  return maker.make(kernels.linear, widths, { weight, bias, x, y, step }, byFourRows(outVec4s));
}

/** A linear layer's gradients: of its matrix and its biases, where they are trained, and of its input, where it is wanted. */
export function linearGradients(
  { maker, parameters, step }: Pick<NetworkParts, 'maker' | 'parameters' | 'step'>,
  matrix: string,
  biases: readonly string[],
  inVec4s: number,
  outVec4s: number,
  { dy, x, dx, isDelayed = false, accumulate = false }: LinearGradientBuffers,
): Promise<Operation>[] {
  const { value: weight, gradient } = parameters.of(matrix);
  const widths = { in_vec4s: inVec4s, out_vec4s: outVec4s };
  const operations: Promise<Operation>[] = [];
  if (gradient) {
    const overrides = { ...widths, is_delayed: isDelayed ? 1 : 0 };
    const workgroups = () => [Math.ceil(inVec4s / 32), outVec4s, 1] as const;
    operations.push(maker.make(kernels.weightGradient, overrides, { dy, x, gradient, step }, workgroups));
  }
  for (const bias of biases) {
    const { gradient } = parameters.of(bias);
    if (gradient) {
      const workgroups = () => [outVec4s, 1, 1] as const;
      operations.push(maker.make(kernels.biasGradient, { out_vec4s: outVec4s }, { dy, gradient, step }, workgroups));
    }
  }
  if (dx) {
    const overrides = { ...widths, accumulate: accumulate ? 1 : 0 };
    operations.push(maker.make(kernels.inputGradient, overrides, { weight, dy, dx, step }, byFourRows(inVec4s)));
  }
  return operations;
}

interface LinearGradientBuffers {
  /** The output's gradient. */
  dy: GPUBuffer;
  /** The input, of the frame before where it is delayed. */
  x: GPUBuffer;
  isDelayed?: boolean;
  /** The input's gradient, if it is wanted; added to where it accumulates. */
  dx?: GPUBuffer;
  accumulate?: boolean;
}

/** @throws RillError `shader`. */
export async function planForward(parts: NetworkParts, layer: number): Promise<ForwardPlan> {
  const { maker, sizes, parameters, activations, step, at, dropout } = parts;
  const { layers, out, u, branch, alpha } = activations;
  const own = layers[layer];
  const next = layers[layer + 1]?.x ?? out;
  const prefix = layerPrefix(layer);
  const value = (name: string) => parameters.of(`${prefix}.${name}`).value;
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(vec4s);
  const units = 4 * hidden;
  const mask = maskOf(dropout);
  const [gatesX, cell, projection, afterLstm, ff1, swish, ff2, afterFf, bypass] = await Promise.all([
    maker.make(
      kernels.linear,
      { in_vec4s: d, out_vec4s: units },
      { weight: value('lstm.weight_ih_l0'), bias: value('lstm.bias_ih_l0'), x: own.x, y: own.gates, step },
      byFourRows(units),
    ),
    maker.make(
      kernels.lstmCell,
      { in_vec4s: d, units },
      {
        weight: value('lstm.weight_hh_l0'),
        bias: value('lstm.bias_hh_l0'),
        h: own.h,
        gates: own.gates,
        c: own.c,
        m: own.m,
        step,
        at,
      },
      byFourUtterances(units),
    ),
    maker.make(
      kernels.lstmProjection,
      { in_vec4s: hidden, out_vec4s: d, is_projected: sizes.hasProjection ? 1 : 0 },
      { weight: projectionWeight(parts, layer), m: own.m, h: own.h, step, at },
      byFourUtterances(d),
    ),
    maker.make(
      kernels.residual,
      { ...mask, row_vec4s: d },
      { x: own.x, branch: own.h, y: own.x1, mask: own.masks.lstm, step },
      byRow,
    ),
    linear(parts, `${prefix}.feed_forward.0`, d, ff, { x: own.x1, y: own.a }),
    maker.make(kernels.swish, { ...mask, row_vec4s: ff }, { a: own.a, u, mask: own.masks.ffInner, step }, byRow),
    linear(parts, `${prefix}.feed_forward.4`, ff, d, { x: u, y: branch }),
    maker.make(
      kernels.residual,
      { ...mask, row_vec4s: d },
      { x: own.x1, branch, y: own.x2, mask: own.masks.ff, step },
      byRow,
    ),
    maker.make(
      kernels.bypass,
      { width: sizes.dModel },
      { eps: value('norm_final.eps'), alpha, x2: own.x2, x: own.x, y: next, step, at },
      byRow,
    ),
  ]);
  return { before: [gatesX], perFrame: [cell, projection], after: [afterLstm, ff1, swish, ff2, afterFf], bypass };
}

/** Without a projection any buffer will do: it is not read. */
const projectionWeight = ({ sizes, parameters }: NetworkParts, layer: number) =>
  parameters.of(`${layerPrefix(layer)}.lstm.${sizes.hasProjection ? 'weight_hr_l0' : 'weight_hh_l0'}`).value;

/**
 * @param isLowest whether nothing below it is trained: its input's gradient is not computed then
 * @throws RillError `shader`.
 */
export async function planBackward(parts: BackwardParts, layer: number, isLowest: boolean): Promise<BackwardPlan> {
  const { maker, sizes, parameters, activations, step, at, dropout, shaping } = parts;
  const own = activations.layers[layer];
  const { u, du, branch, alpha, dOut, dX2, dh, dc, dEps } = activations;
  const prefix = layerPrefix(layer);
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(vec4s);
  const units = 4 * hidden;
  const mask = maskOf(dropout);
  const name = (tensor: string) => `${prefix}.${tensor}`;
  const eps = parameters.of(name('norm_final.eps'));
  const gradients = (matrix: string, biases: string[], inVec4s: number, outVec4s: number, on: LinearGradientBuffers) =>
    linearGradients(parts, name(matrix), biases.map(name), inVec4s, outVec4s, on);

  const bypassGradient = maker.make(
    kernels.bypassGradient,
    { width: sizes.dModel },
    { eps: eps.value, alpha, x2: own.x2, dout: dOut, dx2: dX2, deps: dEps, step, at },
    byRow,
  );
  const before = Promise.all([
    ...(eps.gradient
      ? [
          maker.make(
            kernels.biasGradient,
            { out_vec4s: 1 },
            { dy: dEps, gradient: eps.gradient, step },
            () => [1, 1, 1] as const,
          ),
        ]
      : []),
    ...shaping.balancer(parts, BALANCERS.beforeNorm(layer), { x: own.x2, dx: dX2 }, d),
    // The branch's gradient, then back through the feed-forward; dX2 becomes the gradient of x1.
    maker.make(kernels.dropout, { ...mask, row_vec4s: d }, { x: dX2, y: branch, mask: own.masks.ff, step }, byRow),
    maker.make(kernels.swish, { ...mask, row_vec4s: ff }, { a: own.a, u, mask: own.masks.ffInner, step }, byRow),
    ...gradients('feed_forward.4.weight', ['feed_forward.4.bias'], ff, d, { dy: branch, x: u, dx: du }),
    maker.make(
      kernels.swishGradient,
      { ...mask, row_vec4s: ff },
      { a: own.a, du, mask: own.masks.ffInner, step },
      byRow,
    ),
    ...shaping.balancer(parts, BALANCERS.feedForward(layer), { x: own.a, dx: du }, ff),
    ...gradients('feed_forward.0.weight', ['feed_forward.0.bias'], d, ff, {
      ...{ dy: du, x: own.x1, dx: dX2 },
      accumulate: true,
    }),
    maker.make(kernels.dropout, { ...mask, row_vec4s: d }, { x: dX2, y: dh, mask: own.masks.lstm, step }, byRow),
  ]);
  const fromNext = maker.make(
    kernels.lstmOutputGradient,
    { in_vec4s: d, out_vec4s: units },
    { weight: parameters.of(name('lstm.weight_hh_l0')).value, dz: own.gates, dh, step, at },
    byFourUtterances(d),
  );
  const perFrame = maker.make(
    kernels.lstmCellGradient,
    { in_vec4s: hidden, out_vec4s: d, is_projected: sizes.hasProjection ? 1 : 0 },
    { weight: projectionWeight(parts, layer), dh, c: own.c, gates: own.gates, carried: dc, step, at },
    byFourUtterances(hidden),
  );
  const filter = shaping.filter(parts, {
    ...{ weight: parameters.of(name('lstm.weight_ih_l0')).value, dz: own.gates, dx: branch, d, units },
    ...(sizes.hasProjection && { dh }),
    ...(!isLowest && { dOut }),
  });
  const isFiltered = filter.length > 0;
  const after = Promise.all([
    ...filter,
    ...gradients('lstm.weight_hh_l0', [], d, units, { dy: own.gates, x: own.h, isDelayed: true }),
    ...(sizes.hasProjection ? gradients('lstm.weight_hr_l0', [], hidden, d, { dy: dh, x: own.m }) : []),
    ...(isLowest ? [] : [maker.make(kernels.add, { row_vec4s: d }, { x: dX2, y: dOut, step }, byRow)]),
    ...gradients('lstm.weight_ih_l0', ['lstm.bias_ih_l0', 'lstm.bias_hh_l0'], d, units, {
      ...{ dy: own.gates, x: own.x },
      ...(!isLowest && !isFiltered && { dx: dOut, accumulate: true }),
    }),
  ]);
  return {
    bypassGradient: await bypassGradient,
    before: await before,
    fromNext: await fromNext,
    perFrame: await perFrame,
    after: await after,
  };
}

/** Computes what is within a layer, from its input. */
export function runWithin(plan: ForwardPlan, pass: GPUComputePassEncoder, size: BatchSize): void {
  runAll(plan.before, pass, size);
  for (let frame = 0; frame < size.frames; frame++) {
    runAll(plan.perFrame, pass, size, frame);
  }
  runAll(plan.after, pass, size);
}

/** Runs a layer forwards. */
export function runForward(plan: ForwardPlan, pass: GPUComputePassEncoder, size: BatchSize, layer: number): void {
  runWithin(plan, pass, size);
  plan.bypass.run(pass, size, layer);
}

/** Runs a layer backwards. */
export function runBackward(plan: BackwardPlan, pass: GPUComputePassEncoder, size: BatchSize, layer: number): void {
  plan.bypassGradient.run(pass, size, layer);
  runAll(plan.before, pass, size);
  for (let frame = size.frames - 1; frame >= 0; frame--) {
    if (frame + 1 < size.frames) {
      plan.fromNext.run(pass, size, frame);
    }
    plan.perFrame.run(pass, size, frame);
  }
  runAll(plan.after, pass, size);
}
