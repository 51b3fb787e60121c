import { requireCtc, requireTransducer } from '../encoder/checks.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ, type HeadOptions } from '../encoder/outputs.ts';
import type { Model } from '../model/model.ts';
import type { Address } from './kernels.ts';
import { product, type Network } from './step.ts';
import type { Matrix, WeightLoader } from './weights.ts';
import type { Workspace } from './workspace.ts';

/** Rows of (width) floats, `stride` apart. */
export interface RowsAt {
  at: Address;
  width: number;
  stride: number;
}

/** A head on top of the encoder, its weights loaded. */
export interface Head {
  /** Floats of a row of its product. */
  widest: number;
  /** Computes its output of all rows of `x`. */
  run(network: Network, space: Workspace, rows: number): RowsAt;
}

/**
 * Outputs that the CPU gives. The transducer's greedy search is not among them: there it is as fast behind the step as
 * within.
 */
export const CPU_OUTPUTS = [CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ] as const;
type CpuOutput = (typeof CPU_OUTPUTS)[number];

/** Floats of the widest row that one of the heads needs. */
export const widestOf = (heads: ReadonlyMap<string, Head>) =>
  Math.max(0, ...Array.from(heads.values(), ({ widest }) => widest));

/** @throws RillError `bad-model` when the model has no such head, `no-memory`. */
export async function loadHead(
  load: WeightLoader,
  { sizes, config }: Model,
  output: CpuOutput,
  { blankPenalty = 0 }: HeadOptions,
): Promise<Head> {
  const linear = (layer: string, outputs: number) =>
    load.matrix(`${layer}.weight`, [`${layer}.bias`], [outputs, sizes.encoder.dModel]);
  if (output === JOINER_ENCODER_PROJ) {
    const { joinerDim } = requireTransducer(sizes);
    const matrix = await linear('joiner.encoder_proj', joinerDim);
    return headOf(matrix, (_, { wide }) => ({ at: wide, width: joinerDim, stride: matrix.outputs }));
  }
  const { vocabSize } = requireCtc(sizes);
  const matrix = await linear('ctc_output.1', vocabSize);
  const stride = matrix.outputs;
  if (output === CTC_LOG_PROBS) {
    return headOf(matrix, ({ kernels }, { wide }, rows) => {
      kernels.logSoftmax(wide, rows, vocabSize, stride);
      return { at: wide, width: vocabSize, stride };
    });
  }
  return headOf(matrix, ({ kernels }, { wide, picked }, rows) => {
    kernels.ctcPick(wide, picked, rows, vocabSize, stride, config.blankId, blankPenalty);
    return { at: picked, width: 2, stride: 2 };
  });
}

/** A product of all rows, and what is made of it. */
function headOf(matrix: Matrix, finish: Head['run']): Head {
  return {
    widest: matrix.outputs,
    run(network, space, rows) {
      product(network, space, matrix, space.x, space.wide, rows);
      return finish(network, space, rows);
    },
  };
}
