import { initialContext } from '../../decoder/joiner.ts';
import { requireTransducer } from '../../encoder/checks.ts';
import { GREEDY_TOKENS, type HeadOptions } from '../../encoder/outputs.ts';
import { Kernel } from '../device/kernel.ts';
import { dispatchOf } from '../dispatch.ts';
import * as kernels from '../kernels.generated.ts';
import { oneFrame } from '../matrices.ts';
import { storageFor } from '../methods.ts';
import { WeightLoader, padded, vec4s } from '../weights.ts';
import type { EncoderHead } from '../workspace.ts';
import { loadLinear, type HeadHost } from './linear.ts';

/** No token has this id. */
const NO_TOKEN = 0xffffffff;

/**
 * The transducer's greedy search on the GPU: decoder, joiner and choice for one frame after the other, in the
 * encoder's own step. Every stream's last tokens stay in a GPU buffer; what is read back of a frame is its token.
 *
 * @throws RillError `bad-model` when the model has no transducer head.
 */
export async function loadGreedyHead(host: HeadHost, options: HeadOptions): Promise<EncoderHead> {
  const { decoderDim, joinerDim, vocabSize, initial, weights, layers, decoder, join, pick } = await loadParts(
    host,
    options,
  );
  return {
    bind(scope, room, { x, step, laneStep, at, lanes }) {
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
      return {
        dispatches: [layers.encoderProj({ x, y: encoderProj, step })],
        perFrame: [
          dispatchOf(
            decoder.bind({ ...weights, lanes, contexts, y: hidden, step: laneStep }),
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
        reset: (slot, tokens) => {
          const last = tokens ? Int32Array.from(tokens) : initial;
          scope.context.device.queue.writeBuffer(contexts, slot * initial.byteLength, last);
        },
      };
    },
  };
}

/** Uploads decoder and joiner, and compiles their kernels. */
async function loadParts(host: HeadHost, { blankPenalty = 0 }: HeadOptions) {
  const { context, scope, model, dtype, kernels: choice, sizes } = host;
  const transducer = requireTransducer(model.sizes);
  const { decoderDim, joinerDim, contextSize, vocabSize } = transducer;
  const { blankId, unkId } = model.config;
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
  const weights = {
    embedding: await load.rows('decoder.embedding.weight', decoderDim),
    conv: await load.depthwise('decoder.conv.weight', decoderDim, contextSize),
  };
  const layers = {
    encoderProj: await loadLinear(host, 'joiner.encoder_proj', [joinerDim, sizes.dModel]),
    decoderProj: await loadLinear(host, 'joiner.decoder_proj', [joinerDim, decoderDim]),
    output: await loadLinear(
      host,
      'joiner.output_linear',
      [vocabSize, joinerDim],
      (bias) => (bias[blankId] -= blankPenalty),
    ),
  };
  return { decoderDim, joinerDim, vocabSize, initial, weights, layers, decoder, join, pick };
}

/** A thread for each vec4 of each lane. */
const perElements = (width: number, workgroupSize: number) => (count: number) =>
  [Math.ceil(vec4s(width) / workgroupSize), count, 1] as const;
