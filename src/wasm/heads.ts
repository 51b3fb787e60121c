import { requireCtc, requireTransducer } from '../encoder/checks.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ, type HeadOptions } from '../encoder/outputs.ts';
import type { Model } from '../model/model.ts';
import type { Address } from './kernels.ts';
import { product, type Network } from './step.ts';
import type { Matrix, WeightLoader } from './weights.ts';
import type { HeadWidths, Workspace } from './workspace.ts';

/** Rows of (width) floats, `stride` apart. */
export interface RowsAt {
  at: Address;
  width: number;
  stride: number;
}

/**
 * Outputs that the CPU gives. The transducer's greedy search is not among them: there it is as fast behind the step as
 * within.
 */
export const CPU_OUTPUTS = [CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ] as const;
type CpuOutput = (typeof CPU_OUTPUTS)[number];

/** A head on top of the encoder, its weights loaded; plain, so that other threads can be told. */
export interface Head {
  output: CpuOutput;
  matrix: Matrix;
  /** Of its product; rows are as wide as the matrix has outputs. */
  width: number;
  /** For the choice of tokens. */
  blank: number;
  blankPenalty: number;
}

/** Floats of a row of each head's product. */
export const widthsOf = (heads: ReadonlyMap<string, Head>): HeadWidths =>
  Object.fromEntries(Array.from(heads.values(), ({ output, matrix }) => [output, matrix.outputs]));

/** @throws RillError `bad-model` when the model has no such head, `no-memory`. */
export async function loadHead(
  load: WeightLoader,
  { sizes, config }: Model,
  output: CpuOutput,
  { blankPenalty = 0 }: HeadOptions,
): Promise<Head> {
  const [layer, width] =
    output === JOINER_ENCODER_PROJ
      ? ['joiner.encoder_proj', requireTransducer(sizes).joinerDim]
      : ['ctc_output.1', requireCtc(sizes).vocabSize];
  const matrix = await load.matrix(`${layer}.weight`, [`${layer}.bias`], [width, sizes.encoder.dModel]);
  return { output, matrix, width, blank: config.blankId, blankPenalty };
}

/** Computes a head's output of all rows of `x`. */
export function runHead(network: Network, space: Workspace, head: Head, rows: number): void {
  const { kernels } = network;
  const { output, matrix, width, blank, blankPenalty } = head;
  const at = space.heads[output];
  product(network, space, matrix, space.x, at, rows);
  if (output === CTC_LOG_PROBS) {
    kernels.logSoftmax(at, rows, width, matrix.outputs);
  } else if (output === CTC_TOKENS) {
    kernels.ctcPick(at, space.picked, rows, width, matrix.outputs, blank, blankPenalty);
  }
}

/** Where a head's output lies. */
export function outputOf({ picked, heads }: Workspace, { output, matrix, width }: Head): RowsAt {
  return output === CTC_TOKENS
    ? { at: picked, width: 2, stride: 2 }
    : { at: heads[output], width, stride: matrix.outputs };
}
