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
    const { vocabSize, hasCtc } = model.sizes;
    if (!hasCtc || vocabSize === undefined) {
      throw new RillError('bad-model', {
        got: 'a model without ctc_output.1.weight',
        expected: 'a CTC head',
        remedy: 'Use a checkpoint that was trained with a CTC head.',
      });
    }
    const linear = await loadLinear(encoder, model, 'ctc_output.1', [vocabSize, encoder.sizes.dModel]);
    const logSoftmax = await Kernel.create(encoder.context, kernels.logSoftmax, { width: vocabSize });
    const head = new CtcHead(linear, logSoftmax, vocabSize);
    encoder.attach(head);
    return head;
  }

  /** @internal */
  bind(scope: BufferScope, { lanes, frames }: Room, { x, step }: SharedBuffers): BoundHead {
    const width = this.#vocabSize;
    const y = scope.createStorage('activations', CTC_LOG_PROBS, 4 * lanes * frames * padded(width));
    return {
      dispatches: [this.#linear({ x, y, step }), dispatchOf(this.#logSoftmax.bind({ x: y, step }), perRow)],
      output: { name: CTC_LOG_PROBS, buffer: y, width },
    };
  }
}
