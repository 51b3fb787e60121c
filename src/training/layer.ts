import type { EncoderSizes } from '../model/sizes.ts';
import { vec4s } from '../webgpu/weights.ts';
import type { Activations } from './activations.ts';
import * as kernels from './kernels.generated.ts';
import { layerPrefix } from './layout.ts';
import { byRow, byThread, type BatchSize, type Operation, type OperationMaker, runAll } from './operations.ts';
import type { Parameters } from './parameters.ts';
import { KEEPING_KERNELS, type Precision } from './precision.ts';
import {
  CELL,
  CELL_GRADIENT,
  INPUT_GRADIENT,
  LINEAR,
  OUTPUT_GRADIENT,
  PROJECTION,
  allRows,
  frameRows,
  makeProduct,
  makeWeightGradient,
} from './products.ts';
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
  /** How layers keep what the way back reads. */
  precision: Precision;
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

/** A linear layer, by the names of its weight and its bias. */
export function linear(
  { maker, parameters, step }: Pick<NetworkParts, 'maker' | 'parameters' | 'step'>,
  { weight, bias }: { weight: string; bias: string },
  inVec4s: number,
  outVec4s: number,
  { x, y, precision = 'f32' }: LinearBuffers,
): Promise<Operation> {
  const resources = { bias: parameters.of(bias).value, x, y, step };
  return makeProduct(maker, LINEAR[precision], parameters.of(weight), { inVec4s, outVec4s }, resources, allRows);
}

interface LinearBuffers {
  x: GPUBuffer;
  y: GPUBuffer;
  /** How both are kept; f32 by default. */
  precision?: Precision;
}

/** The weight and the bias of a linear layer by PyTorch's names. */
export const namesOf = (name: string) => ({ weight: `${name}.weight`, bias: `${name}.bias` });

/** A linear layer's gradients: of its matrix and its biases, where they are trained, and of its input, where it is wanted. */
export function linearGradients(
  { maker, parameters, step }: Pick<NetworkParts, 'maker' | 'parameters' | 'step'>,
  matrix: string,
  biases: readonly string[],
  inVec4s: number,
  outVec4s: number,
  { dy, x, dx, isDelayed = false, accumulate = false, precision = 'f32' }: LinearGradientBuffers,
): Promise<Operation>[] {
  const weight = parameters.of(matrix);
  const { gradient } = weight;
  const operations: Promise<Operation>[] = [];
  if (gradient) {
    operations.push(
      makeWeightGradient(maker, { inVec4s, outVec4s }, { dy, x, gradient, step }, { isDelayed, precision }),
    );
  }
  for (const bias of biases) {
    const { gradient } = parameters.of(bias);
    if (gradient) {
      const workgroups = () => [outVec4s, 1, 1] as const;
      operations.push(maker.make(kernels.biasGradient, { out_vec4s: outVec4s }, { dy, gradient, step }, workgroups));
    }
  }
  if (dx) {
    const backwards = { inVec4s: outVec4s, outVec4s: inVec4s };
    operations.push(makeProduct(maker, INPUT_GRADIENT, weight, backwards, { dy, dx, step }, allRows, { accumulate }));
  }
  return operations;
}

interface LinearGradientBuffers {
  /** The output's gradient. */
  dy: GPUBuffer;
  /** The input, of the frame before where it is delayed. */
  x: GPUBuffer;
  isDelayed?: boolean;
  /** How it is kept; f32 by default. */
  precision?: Precision;
  /** The input's gradient, if it is wanted; added to where it accumulates. */
  dx?: GPUBuffer;
  accumulate?: boolean;
}

/** @throws RillError `shader`. */
export async function planForward(parts: NetworkParts, layer: number): Promise<ForwardPlan> {
  const { maker, sizes, parameters, activations, step, at, dropout, precision } = parts;
  const kept = KEEPING_KERNELS[precision];
  const { layers, out, u, branch, alpha } = activations;
  const own = layers[layer];
  const next = layers[layer + 1]?.x ?? out;
  const prefix = layerPrefix(layer);
  const name = (tensor: string) => `${prefix}.${tensor}`;
  const value = (tensor: string) => parameters.of(name(tensor)).value;
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(vec4s);
  const units = 4 * hidden;
  const mask = maskOf(dropout);
  const [gatesX, cell, projection, afterLstm, ff1, swish, ff2, afterFf, bypass] = await Promise.all([
    linear(parts, { weight: name('lstm.weight_ih_l0'), bias: name('lstm.bias_ih_l0') }, d, units, {
      ...{ x: own.x, y: own.gates, precision },
    }),
    makeProduct(
      maker,
      CELL[precision],
      parameters.of(name('lstm.weight_hh_l0')),
      { inVec4s: d, outVec4s: units },
      { bias: value('lstm.bias_hh_l0'), h: own.h, gates: own.gates, c: own.c, m: own.m, step, at },
      frameRows,
    ),
    sizes.hasProjection
      ? makeProduct(
          maker,
          PROJECTION[precision],
          parameters.of(name('lstm.weight_hr_l0')),
          { inVec4s: hidden, outVec4s: d },
          { m: own.m, h: own.h, step, at },
          frameRows,
        )
      : maker.make(kept.lstmCarry, { vec4s: d }, { m: own.m, h: own.h, step, at }, threadsOfFrame(d)),
    maker.make(
      kept.residual,
      { ...mask, row_vec4s: d },
      { x: own.x, branch: own.h, y: own.x1, mask: own.masks.lstm, step },
      byRow,
    ),
    linear(parts, namesOf(name('feed_forward.0')), d, ff, { x: own.x1, y: own.a, precision }),
    maker.make(kept.swish, { ...mask, row_vec4s: ff }, { a: own.a, u, mask: own.masks.ffInner, step }, byRow),
    linear(parts, namesOf(name('feed_forward.4')), ff, d, { x: u, y: branch, precision }),
    maker.make(
      kept.residual,
      { ...mask, row_vec4s: d },
      { x: own.x1, branch, y: own.x2, mask: own.masks.ff, step },
      byRow,
    ),
    maker.make(
      kept.bypass,
      { width: sizes.dModel },
      { eps: value('norm_final.eps'), alpha, x2: own.x2, x: own.x, y: next, step, at },
      byRow,
    ),
  ]);
  return { before: [gatesX], perFrame: [cell, projection], after: [afterLstm, ff1, swish, ff2, afterFf], bypass };
}

/** A thread for each vec4 of each utterance, of one frame. */
const threadsOfFrame =
  (vec4s: number) =>
  ({ utterances }: BatchSize) =>
    byThread(utterances * vec4s);

/**
 * @param isLowest whether nothing below it is trained: its input's gradient is not computed then
 * @throws RillError `shader`.
 */
export async function planBackward(parts: BackwardParts, layer: number, isLowest: boolean): Promise<BackwardPlan> {
  const { maker, sizes, parameters, activations, step, at, dropout, shaping, precision } = parts;
  const kept = KEEPING_KERNELS[precision];
  const own = activations.layers[layer];
  const { u, du, branch, alpha, dOut, dX2, dh, dc, dEps } = activations;
  const prefix = layerPrefix(layer);
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(vec4s);
  const units = 4 * hidden;
  const mask = maskOf(dropout);
  const name = (tensor: string) => `${prefix}.${tensor}`;
  const eps = parameters.of(name('norm_final.eps'));
  const gradients = (matrix: string, biases: string[], inVec4s: number, outVec4s: number, on: LinearGradientBuffers) =>
    linearGradients(parts, name(matrix), biases.map(name), inVec4s, outVec4s, { precision, ...on });

  const bypassGradient = maker.make(
    kept.bypassGradient,
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
    maker.make(kept.swish, { ...mask, row_vec4s: ff }, { a: own.a, u, mask: own.masks.ffInner, step }, byRow),
    ...gradients('feed_forward.4.weight', ['feed_forward.4.bias'], ff, d, { dy: branch, x: u, dx: du }),
    maker.make(kept.swishGradient, { ...mask, row_vec4s: ff }, { a: own.a, du, mask: own.masks.ffInner, step }, byRow),
    ...shaping.balancer(parts, BALANCERS.feedForward(layer), { x: own.a, dx: du }, ff),
    ...gradients('feed_forward.0.weight', ['feed_forward.0.bias'], d, ff, {
      ...{ dy: du, x: own.x1, dx: dX2 },
      accumulate: true,
    }),
    maker.make(kernels.dropout, { ...mask, row_vec4s: d }, { x: dX2, y: dh, mask: own.masks.lstm, step }, byRow),
  ]);
  const fromNext = makeProduct(
    maker,
    OUTPUT_GRADIENT,
    parameters.of(name('lstm.weight_hh_l0')),
    { inVec4s: units, outVec4s: d },
    { dz: own.dz, dh, step, at },
    frameRows,
  );
  // In f32 dz takes the place of the gates, and the kernels have no binding of its own for it.
  const ofCell = { dh, c: own.c, gates: own.gates, dz: own.dz, carried: dc, step, at };
  const perFrame = sizes.hasProjection
    ? makeProduct(
        maker,
        CELL_GRADIENT[precision],
        parameters.of(name('lstm.weight_hr_l0')),
        { inVec4s: d, outVec4s: hidden },
        ofCell,
        frameRows,
      )
    : maker.make(kept.lstmCarryGradient, { vec4s: hidden }, ofCell, threadsOfFrame(hidden));
  const filter = shaping.filter(parts, {
    ...{ weight: parameters.of(name('lstm.weight_ih_l0')), dz: own.dz, dx: branch, d, units },
    ...(sizes.hasProjection && { dh }),
    ...(!isLowest && { dOut }),
  });
  const isFiltered = filter.length > 0;
  const after = Promise.all([
    ...filter,
    ...gradients('lstm.weight_hh_l0', [], d, units, { dy: own.dz, x: own.h, isDelayed: true }),
    ...(sizes.hasProjection
      ? gradients('lstm.weight_hr_l0', [], hidden, d, { dy: dh, x: own.m, precision: 'f32' })
      : []),
    ...(isLowest ? [] : [maker.make(kernels.add, { row_vec4s: d }, { x: dX2, y: dOut, step }, byRow)]),
    ...gradients('lstm.weight_ih_l0', ['lstm.bias_ih_l0', 'lstm.bias_hh_l0'], d, units, {
      ...{ dy: own.dz, x: own.x },
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
