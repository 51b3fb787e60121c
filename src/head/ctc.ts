import type { EncoderHead, RnnEncoder, StepOutput } from '../encoder/encoder.ts';
import { perRow, type Dispatch } from '../encoder/plan.ts';
import { RillError } from '../errors.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { Model } from '../model/model.ts';
import { linearHead } from './linear.ts';

/** The CTC head's output in a step's results, (frames, vocab_size). */
export const CTC_LOG_PROBS = 'ctc_log_probs';

/** The CTC head (`ctc_output.1` and log-softmax), run in the encoder's own step. */
export class CtcHead implements EncoderHead {
  readonly dispatches: readonly Dispatch[];
  readonly output: StepOutput;

  private constructor(dispatches: readonly Dispatch[], output: StepOutput) {
    this.dispatches = dispatches;
    this.output = output;
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
    const { dispatch, output } = await linearHead(encoder, model, 'ctc_output.1', vocabSize, CTC_LOG_PROBS);
    const logSoftmax = await Kernel.create(encoder.context, kernels.logSoftmax, { width: vocabSize });
    const normalise = { kernel: logSoftmax.bind({ x: output.buffer, step: encoder.shared.step }), workgroups: perRow };
    const head = new CtcHead([dispatch, normalise], output);
    encoder.attach(head);
    return head;
  }
}
