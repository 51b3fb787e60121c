import { dispatchOf, perRow } from '../encoder/dispatch.ts';
import type { RnnEncoder } from '../encoder/encoder.ts';
import type { Room } from '../encoder/plan.ts';
import { padded } from '../encoder/weights.ts';
import type { BoundHead, EncoderHead, SharedBuffers } from '../encoder/workspace.ts';
import { RillError } from '../errors.ts';
import type { BufferScope } from '../gpu/context.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { Model } from '../model/model.ts';
import { loadLinear, type LinearLayer } from './linear.ts';

/** The CTC head's output in a step's results, (frames, vocab_size). */
export const CTC_LOG_PROBS = 'ctc_log_probs';

/** The CTC head's greedy choices in a step's results, (frames, 2): the token, and its log-probability. */
export const CTC_TOKENS = 'ctc_tokens';

/** @internal */
export function noCtc(): RillError {
  return new RillError('bad-model', {
    got: 'a model without ctc_output.1.weight',
    expected: 'a CTC head',
    remedy: 'Use a checkpoint that was trained with a CTC head.',
  });
}

/** The CTC head (`ctc_output.1` and log-softmax), run in the encoder's own step. */
export class CtcHead implements EncoderHead {
  readonly #linear: LinearLayer;
  readonly #logSoftmax: Kernel<typeof kernels.logSoftmax>;
  readonly #vocabSize: number;

  private constructor(linear: LinearLayer, logSoftmax: Kernel<typeof kernels.logSoftmax>, vocabSize: number) {
    this.#linear = linear;
    this.#logSoftmax = logSoftmax;
    this.#vocabSize = vocabSize;
  }

  /**
   * Uploads the head's weights, compiles its kernels and attaches it to the encoder.
   *
   * @throws RillError `bad-model` when the model has no CTC head.
   */
  static async attach(encoder: RnnEncoder, model: Model): Promise<CtcHead> {
    const { linear, vocabSize } = await loadCtc(encoder, model);
    const logSoftmax = await Kernel.create(encoder.context, kernels.logSoftmax, { width: vocabSize });
    const head = new CtcHead(linear, logSoftmax, vocabSize);
    encoder.attach(head);
    return head;
  }

  bind(scope: BufferScope, { lanes, frames }: Room, { x, step }: SharedBuffers): BoundHead {
    const width = this.#vocabSize;
    const y = scope.createStorage('activations', CTC_LOG_PROBS, 4 * lanes * frames * padded(width));
    return {
      dispatches: [this.#linear({ x, y, step }), dispatchOf(this.#logSoftmax.bind({ x: y, step }), perRow)],
      output: { name: CTC_LOG_PROBS, buffer: y, width },
    };
  }
}

/** The CTC head with the greedy choice made on the GPU: what is read back of a frame is its token. */
export class CtcGreedyHead implements EncoderHead {
  readonly #linear: LinearLayer;
  readonly #pick: Kernel<typeof kernels.ctcPick>;
  readonly #vocabSize: number;

  private constructor(linear: LinearLayer, pick: Kernel<typeof kernels.ctcPick>, vocabSize: number) {
    this.#linear = linear;
    this.#pick = pick;
    this.#vocabSize = vocabSize;
  }

  /**
   * Uploads the head's weights, compiles its kernels and attaches it to the encoder.
   *
   * @param blankPenalty subtracted from the blank's logit for the choice
   * @throws RillError `bad-model` when the model has no CTC head.
   */
  static async attach(encoder: RnnEncoder, model: Model, blankPenalty = 0): Promise<CtcGreedyHead> {
    const { linear, vocabSize } = await loadCtc(encoder, model);
    const pick = await Kernel.create(encoder.context, kernels.ctcPick, {
      width: vocabSize,
      blank: model.config.blankId,
      blank_penalty: blankPenalty,
    });
    const head = new CtcGreedyHead(linear, pick, vocabSize);
    encoder.attach(head);
    return head;
  }

  bind(scope: BufferScope, { lanes, frames }: Room, { x, step }: SharedBuffers): BoundHead {
    const rows = lanes * frames;
    const logits = scope.createStorage('activations', 'ctc logits', 4 * rows * padded(this.#vocabSize));
    const picked = scope.createStorage('activations', CTC_TOKENS, 4 * rows * padded(2));
    return {
      dispatches: [this.#linear({ x, y: logits, step }), dispatchOf(this.#pick.bind({ logits, picked, step }), perRow)],
      output: { name: CTC_TOKENS, buffer: picked, width: 2 },
      widest: this.#vocabSize,
    };
  }
}

async function loadCtc(encoder: RnnEncoder, model: Model): Promise<{ linear: LinearLayer; vocabSize: number }> {
  const { vocabSize, hasCtc } = model.sizes;
  if (!hasCtc || vocabSize === undefined) {
    throw noCtc();
  }
  return { linear: await loadLinear(encoder, model, 'ctc_output.1', [vocabSize, encoder.sizes.dModel]), vocabSize };
}
