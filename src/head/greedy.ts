import type { EncoderHead, RnnEncoder, StepOutput } from '../encoder/encoder.ts';
import type { Dispatch } from '../encoder/plan.ts';
import { WeightLoader, padded, vec4s } from '../encoder/weights.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { Model } from '../model/model.ts';
import { linearHead, linearLayer } from './linear.ts';
import { JOINER_ENCODER_PROJ, noTransducer } from './transducer.ts';

/** The greedy search's output in a step's results, (frames, 2): the token chosen, and its log-probability. */
export const GREEDY_TOKENS = 'greedy_tokens';

/** No token has this id. */
const NO_TOKEN = 0xffffffff;

/**
 * The transducer's greedy search on the GPU: decoder, joiner and choice for one frame after the other, in the
 * encoder's own step. Every stream's last tokens stay in a GPU buffer; what is read back of a frame is its token.
 */
export class GreedyHead implements EncoderHead {
  readonly dispatches: readonly Dispatch[];
  readonly perFrame: readonly Dispatch[];
  readonly output: StepOutput;
  readonly #contexts: GPUBuffer;
  readonly #initial: Int32Array<ArrayBuffer>;
  readonly #device: GPUDevice;

  private constructor(
    device: GPUDevice,
    contexts: GPUBuffer,
    initial: Int32Array<ArrayBuffer>,
    dispatches: readonly Dispatch[],
    perFrame: readonly Dispatch[],
    output: StepOutput,
  ) {
    this.#device = device;
    this.#contexts = contexts;
    this.#initial = initial;
    this.dispatches = dispatches;
    this.perFrame = perFrame;
    this.output = output;
  }

  /**
   * Uploads decoder and joiner, compiles their kernels and attaches them to the encoder.
   *
   * @param blankPenalty subtracted from the blank's logit
   * @throws RillError `bad-model` when the model has no transducer head.
   */
  static async attach(encoder: RnnEncoder, model: Model, blankPenalty = 0): Promise<GreedyHead> {
    const { transducer, vocabSize } = model.sizes;
    if (!transducer || vocabSize === undefined) {
      throw noTransducer();
    }
    const { context, buffers, dtype, capacity, shared } = encoder;
    const { maxStreams, maxFrames } = capacity;
    const { blankId, unkId } = model.config;
    const { decoderDim, joinerDim, contextSize } = transducer;
    const { lanes, laneStep, step, at } = shared;
    const load = new WeightLoader(buffers, model.weights, dtype);
    const embedding = await load.rows('decoder.embedding.weight', decoderDim);
    const conv = await load.depthwise('decoder.conv.weight', decoderDim, contextSize);
    const perLane = (label: string, width: number) =>
      buffers.createStorage('activations', label, 4 * maxStreams * padded(width));
    const contexts = buffers.createStorage('states', 'greedy contexts', 4 * maxStreams * contextSize);
    const hidden = perLane('decoder', decoderDim);
    const proj = perLane('joiner.decoder_proj', joinerDim);
    const joined = perLane('joiner', joinerDim);
    const logits = perLane('logits', vocabSize);
    const picked = buffers.createStorage('activations', GREEDY_TOKENS, 16 * maxStreams * maxFrames);

    const encoderProj = await linearHead(encoder, model, 'joiner.encoder_proj', joinerDim, JOINER_ENCODER_PROJ);
    const [decoder, join, pick] = await Promise.all([
      Kernel.create(context, kernels.decoder, { vec4s: vec4s(decoderDim), context_size: contextSize }),
      Kernel.create(context, kernels.join, { vec4s: vec4s(joinerDim) }),
      Kernel.create(context, kernels.greedyPick, {
        width: vocabSize,
        context_size: contextSize,
        blank: blankId,
        unk: unkId ?? NO_TOKEN,
      }),
    ]);
    const perElements = (width: number, workgroupSize: number) => (count: number) =>
      [Math.ceil(vec4s(width) / workgroupSize), count, 1] as const;
    const perFrame: Dispatch[] = [
      {
        kernel: decoder.bind({ embedding, conv, lanes, contexts, y: hidden, step: laneStep }),
        workgroups: perElements(decoderDim, decoder.source.workgroupSize[0]),
      },
      oneFrame(
        await linearLayer(encoder, model, 'joiner.decoder_proj', {
          inputs: decoderDim,
          x: hidden,
          outputs: joinerDim,
          y: proj,
          step: laneStep,
        }),
      ),
      {
        kernel: join.bind({ encoder_proj: encoderProj.output.buffer, decoder_proj: proj, y: joined, step, at }),
        workgroups: perElements(joinerDim, join.source.workgroupSize[0]),
      },
      oneFrame(
        await linearLayer(
          encoder,
          model,
          'joiner.output_linear',
          { inputs: joinerDim, x: joined, outputs: vocabSize, y: logits, step: laneStep },
          (bias) => (bias[blankId] -= blankPenalty),
        ),
      ),
      { kernel: pick.bind({ logits, lanes, contexts, picked, step, at }), workgroups: (count) => [count, 1, 1] },
    ];
    const initial = new Int32Array(contextSize).fill(-1);
    initial[contextSize - 1] = blankId;
    const output = { name: GREEDY_TOKENS, buffer: picked, width: 2 };
    const head = new GreedyHead(context.device, contexts, initial, [encoderProj.dispatch], perFrame, output);
    encoder.attach(head);
    return head;
  }

  /** A fresh hypothesis starts from the context [-1, …, blank]. */
  reset(slot: number): void {
    this.#device.queue.writeBuffer(this.#contexts, slot * this.#initial.byteLength, this.#initial);
  }
}

/** A dispatch over the rows of a step, run over one frame of every lane. */
function oneFrame(dispatch: Dispatch): Dispatch {
  return { ...dispatch, workgroups: (lanes) => dispatch.workgroups(lanes, 1) };
}
