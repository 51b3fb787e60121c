import { requireCtc } from '../../encoder/checks.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, type HeadOptions } from '../../encoder/outputs.ts';
import { Kernel } from '../device/kernel.ts';
import { dispatchOf, perRow } from '../dispatch.ts';
import * as kernels from '../kernels.generated.ts';
import { padded } from '../weights.ts';
import type { EncoderHead } from '../workspace.ts';
import { loadLinear, type HeadHost } from './linear.ts';

const LAYER = 'ctc_output.1';

/**
 * The CTC head (`ctc_output.1` and log-softmax), run in the encoder's own step.
 *
 * @throws RillError `bad-model` when the model has no CTC head.
 */
export async function loadCtcHead(host: HeadHost): Promise<EncoderHead> {
  const { vocabSize: width } = requireCtc(host.model.sizes);
  const linear = await loadLinear(host, LAYER, [width, host.sizes.dModel]);
  const logSoftmax = await Kernel.create(host.context, kernels.logSoftmax, { width });
  return {
    bind(scope, { lanes, frames }, { x, step }) {
      const y = scope.createStorage('activations', CTC_LOG_PROBS, 4 * lanes * frames * padded(width));
      return {
        dispatches: [linear({ x, y, step }), dispatchOf(logSoftmax.bind({ x: y, step }), perRow)],
        output: { name: CTC_LOG_PROBS, buffer: y, width },
      };
    },
  };
}

/**
 * The CTC head with the greedy choice made on the GPU: what is read back of a frame is its token.
 *
 * @throws RillError `bad-model` when the model has no CTC head.
 */
export async function loadCtcTokensHead(host: HeadHost, { blankPenalty = 0 }: HeadOptions): Promise<EncoderHead> {
  const { vocabSize: width } = requireCtc(host.model.sizes);
  const linear = await loadLinear(host, LAYER, [width, host.sizes.dModel]);
  const pick = await Kernel.create(host.context, kernels.ctcPick, {
    width,
    blank: host.model.config.blankId,
    blank_penalty: blankPenalty,
  });
  return {
    bind(scope, { lanes, frames }, { x, step }) {
      const rows = lanes * frames;
      const logits = scope.createStorage('activations', 'ctc logits', 4 * rows * padded(width));
      const picked = scope.createStorage('activations', CTC_TOKENS, 4 * rows * padded(2));
      return {
        dispatches: [linear({ x, y: logits, step }), dispatchOf(pick.bind({ logits, picked, step }), perRow)],
        output: { name: CTC_TOKENS, buffer: picked, width: 2 },
        widest: width,
      };
    },
  };
}
