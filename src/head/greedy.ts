import type { RnnEncoder } from '../encoder/encoder.ts';
import { dispatchOf } from '../encoder/dispatch.ts';
import { oneFrame, storageFor } from '../encoder/matrices.ts';
import type { Room } from '../encoder/plan.ts';
import { WeightLoader, padded, vec4s } from '../encoder/weights.ts';
import type { BoundHead, EncoderHead, SharedBuffers } from '../encoder/workspace.ts';
import type { BufferScope } from '../gpu/context.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { Model } from '../model/model.ts';
import { loadLinear } from './linear.ts';
import { initialContext, noTransducer } from './transducer.ts';

/** The greedy search's output in a step's results, (frames, 2): the token chosen, and its log-probability. */
export const GREEDY_TOKENS = 'greedy_tokens';

/** No token has this id. */
const NO_TOKEN = 0xffffffff;

/** What the head loads and compiles, once. */
type Parts = Awaited<ReturnType<typeof loadParts>>;

/**
 * The transducer's greedy search on the GPU: decoder, joiner and choice for one frame after the other, in the
 * encoder's own step. Every stream's last tokens stay in a GPU buffer; what is read back of a frame is its token.
 */
export class GreedyHead implements EncoderHead {
  readonly #device: GPUDevice;
  readonly #parts: Parts;

  private constructor(device: GPUDevice, parts: Parts) {
    this.#device = device;
    this.#parts = parts;
  }

  /**
   * Uploads decoder and joiner, compiles their kernels and attaches them to the encoder.
   *
   * @param blankPenalty subtracted from the blank's logit
   * @throws RillError `bad-model` when the model has no transducer head.
   */
  static async attach(encoder: RnnEncoder, model: Model, blankPenalty = 0): Promise<GreedyHead> {
    const head = new GreedyHead(encoder.context.device, await loadParts(encoder, model, blankPenalty));
    encoder.attach(head);
    return head;
  }

  bind(scope: BufferScope, room: Room, { x, step, laneStep, at, lanes }: SharedBuffers): BoundHead {
    const { embedding, conv, layers, compiled, decoderDim, joinerDim, vocabSize, initial } = this.#parts;
    const rows = room.lanes * room.frames;
    const activations = (label: string, count: number, width: number) =>
      scope.createStorage('activations', label, 4 * count * padded(width));
    const encoderProj = activations('joiner.encoder_proj', rows, joinerDim);
    const hidden = activations('decoder', room.lanes, decoderDim);
    const decoderProj = activations('joiner.decoder_proj', room.lanes, joinerDim);
    const joined = activations('joiner', room.lanes, joinerDim);
    const logits = activations('logits', room.lanes, vocabSize);
    const picked = activations(GREEDY_TOKENS, rows, 2);
    const contexts = scope.createStorage('states', 'contexts', room.slots * initial.byteLength);
    const { decoder, join, pick } = compiled;
    return {
      dispatches: [layers.encoderProj({ x, y: encoderProj, step })],
      perFrame: [
        dispatchOf(
          decoder.bind({ embedding, conv, lanes, contexts, y: hidden, step: laneStep }),
          perElements(decoderDim, decoder.source.workgroupSize[0]),
        ),
        layers.decoderProj({ x: hidden, y: decoderProj, step: laneStep }, oneFrame),
        dispatchOf(
          join.bind({ encoder_proj: encoderProj, decoder_proj: decoderProj, y: joined, step, at }),
          perElements(joinerDim, join.source.workgroupSize[0]),
        ),
        layers.output({ x: joined, y: logits, step: laneStep }, oneFrame),
        dispatchOf(pick.bind({ logits, lanes, contexts, picked, step, at }), (count) => [count, 1, 1]),
      ],
      output: { name: GREEDY_TOKENS, buffer: picked, width: 2 },
      // The logits are of one frame, all else of all.
      widest: Math.max(joinerDim, Math.ceil(vocabSize / room.frames)),
      states: contexts,
      reset: (slot) => {
        this.#device.queue.writeBuffer(contexts, slot * initial.byteLength, initial);
      },
    };
  }
}

async function loadParts(encoder: RnnEncoder, model: Model, blankPenalty: number) {
  const { transducer, vocabSize } = model.sizes;
  if (!transducer || vocabSize === undefined) {
    throw noTransducer();
  }
  const { context, scope, dtype, kernels: choice, sizes } = encoder;
  const { blankId, unkId } = model.config;
  const { decoderDim, joinerDim, contextSize } = transducer;
  const load = new WeightLoader(scope, model.weights, dtype, storageFor(choice));
  const initial = Int32Array.from(initialContext(transducer, blankId));
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
  return {
    decoderDim,
    joinerDim,
    vocabSize,
    initial,
    compiled: { decoder, join, pick },
    embedding: await load.rows('decoder.embedding.weight', decoderDim),
    conv: await load.depthwise('decoder.conv.weight', decoderDim, contextSize),
    layers: {
      encoderProj: await loadLinear(encoder, model, 'joiner.encoder_proj', [joinerDim, sizes.dModel]),
      decoderProj: await loadLinear(encoder, model, 'joiner.decoder_proj', [joinerDim, decoderDim]),
      output: await loadLinear(
        encoder,
        model,
        'joiner.output_linear',
        [vocabSize, joinerDim],
        (bias) => (bias[blankId] -= blankPenalty),
      ),
    },
  };
}

/** A thread for each vec4 of each lane. */
const perElements = (width: number, workgroupSize: number) => (count: number) =>
  [Math.ceil(vec4s(width) / workgroupSize), count, 1] as const;
