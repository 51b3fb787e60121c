import type { EncoderHead, RnnEncoder, StepOutput } from '../encoder/encoder.ts';
import { perOutputs, perRow, type Dispatch } from '../encoder/plan.ts';
import { WeightLoader, padded, vec4s } from '../encoder/weights.ts';
import { RillError } from '../errors.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { Model } from '../model/model.ts';

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
    const { context, buffers, sizes, capacity, stepUniform: step } = encoder;
    const load = new WeightLoader(buffers, model.weights);
    const weight = await load.matrix('ctc_output.1.weight', [vocabSize, sizes.dModel]);
    const bias = await load.vector(['ctc_output.1.bias'], vocabSize);
    const bytes = 4 * capacity.maxStreams * capacity.maxFrames * padded(vocabSize);
    const buffer = buffers.createStorage('activations', CTC_LOG_PROBS, bytes);
    const [linear, logSoftmax] = await Promise.all([
      Kernel.create(context, kernels.linear, {
        in_vec4s: vec4s(sizes.dModel),
        out_vec4s: vec4s(vocabSize),
        double_swish: 0,
        accumulate: 0,
      }),
      Kernel.create(context, kernels.logSoftmax, { width: vocabSize }),
    ]);
    const head = new CtcHead(
      [
        {
          weight,
          kernel: linear.bind({ weight, bias, x: encoder.output.buffer, y: buffer, step }),
          workgroups: perOutputs(vec4s(vocabSize), linear.source.workgroupSize[0]),
        },
        { kernel: logSoftmax.bind({ x: buffer, step }), workgroups: perRow },
      ],
      { name: CTC_LOG_PROBS, buffer, width: vocabSize },
    );
    encoder.attach(head);
    return head;
  }
}
