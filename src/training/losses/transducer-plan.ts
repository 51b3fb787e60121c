import { requireTransducer } from '../../encoder/checks.ts';
import type { BufferScope } from '../../webgpu/device/context.ts';
import { padded, vec4s } from '../../webgpu/weights.ts';
import * as kernels from '../kernels.generated.ts';
import { linear, linearGradients, namesOf } from '../layer.ts';
import { JOINER } from '../layout.ts';
import { byRow, byUtterance, rowsOf, type Operation } from '../operations.ts';
import type { LossParts } from './loss.ts';
import type { RnntType } from './targets.ts';

/** Words of an utterance in the table, as transducer_lattice.wgsl has them. */
export const UTTERANCE_WORDS = 4;

/** Which rows an operation is dispatched for: frames; positions of targets; frames with positions. */
export type Rows = 'encoder' | 'decoder' | 'lattice';
export type RowsOperation = readonly [Rows, Operation];

/** What a transducer's loss needs beside the parameters; positions are symbols of the longest target, and 1. */
export interface TransducerBuffers {
  /** (utterances) */
  losses: GPUBuffer;
  /** (utterances * positions, context_size) tokens before each position, -1 for none. */
  contexts: GPUBuffer;
  /** (utterances, positions) */
  symbols: GPUBuffer;
  /** The table of utterances, and how large the lattice is. */
  utterances: GPUBuffer;
  lattice: GPUBuffer;
  /** How large a batch is in rows of the decoder, and of the lattice. */
  decoderStep: GPUBuffer;
  latticeStep: GPUBuffer;
  /** (utterances * positions, decoder_dim) */
  decoderOut: GPUBuffer;
  dDecoderOut: GPUBuffer;
  /** (rows, joiner_dim), (utterances * positions, joiner_dim): their gradients take their place. */
  encoderProj: GPUBuffer;
  decoderProj: GPUBuffer;
  /** (lattice rows, joiner_dim) */
  joined: GPUBuffer;
  dJoined: GPUBuffer;
  /** (lattice rows, vocabulary) logits, which become log-probabilities, and then the gradient of logits. */
  logits: GPUBuffer;
  /** (utterances, steps + 1, positions) */
  alpha: GPUBuffer;
  beta: GPUBuffer;
  /** (utterances, steps + 1) */
  totals: GPUBuffer;
}

/** @throws RillError `bad-model` without a transducer head, `bad-argument` for what is too large. */
export function createBuffers(scope: BufferScope, { sizes, capacity }: LossParts, type: RnntType): TransducerBuffers {
  const { vocabSize, decoderDim, joinerDim, contextSize } = requireTransducer(sizes);
  const { utterances, labels } = capacity;
  const rows = rowsOf(capacity);
  const positions = utterances * (labels + 1);
  const joints = rows * (labels + 1);
  const steps = rows + utterances * (1 + (type === 'regular' ? labels : 0));
  const storage = (label: string, count: number) => scope.createStorage('activations', label, 4 * count);
  const uniform = (label: string) =>
    scope.createBuffer('activations', label, 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  return {
    losses: storage('losses', utterances),
    contexts: storage('contexts', positions * contextSize),
    symbols: storage('symbols', positions),
    utterances: storage('utterances', utterances * UTTERANCE_WORDS),
    lattice: uniform('lattice'),
    decoderStep: uniform('rows of the decoder'),
    latticeStep: uniform('rows of the lattice'),
    decoderOut: storage('decoder_out', positions * padded(decoderDim)),
    dDecoderOut: storage('gradient of decoder_out', positions * padded(decoderDim)),
    encoderProj: storage('encoder_proj', rows * padded(joinerDim)),
    decoderProj: storage('decoder_proj', positions * padded(joinerDim)),
    joined: storage('joined', joints * padded(joinerDim)),
    dJoined: storage('gradient of joined', joints * padded(joinerDim)),
    logits: storage('logits of the joiner', joints * padded(vocabSize)),
    alpha: storage('transducer alpha', (labels + 1) * steps),
    beta: storage('transducer beta', (labels + 1) * steps),
    totals: storage('transducer totals', steps),
  };
}

const on = (rows: Rows, operations: readonly Promise<Operation>[]) =>
  operations.map(async (each): Promise<RowsOperation> => [rows, await each]);

/** All that a loss dispatches, in order. @throws RillError `shader`. */
export const planTransducer = (
  parts: LossParts,
  buffers: TransducerBuffers,
  type: RnntType,
): Promise<RowsOperation[]> =>
  Promise.all([...forward(parts, buffers), ...lattice(parts, buffers, type), ...backward(parts, buffers)]);

/** Decoder and joiner. */
function forward(parts: LossParts, buffers: TransducerBuffers): Promise<RowsOperation>[] {
  const { maker, parameters, encoderOut } = parts;
  const { encoderProj, decoderOut, decoderProj, joined, logits, contexts, decoderStep, latticeStep } = buffers;
  const { d, decoder, joiner, vocabulary, vocabSize, contextSize } = widthsOf(parts);
  const embedding = parameters.of('decoder.embedding.weight').value;
  const conv = parameters.of('decoder.conv.weight').value;
  const onPositions = { ...parts, step: decoderStep };
  const onLattice = { ...parts, step: latticeStep };
  return [
    ...on('encoder', [linear(parts, namesOf(JOINER.encoder), d, joiner, { x: encoderOut, y: encoderProj })]),
    ...on('decoder', [
      maker.make(
        kernels.decoder,
        { row_vec4s: decoder, context_size: contextSize },
        { embedding, conv, contexts, y: decoderOut, step: decoderStep },
        byRow,
      ),
      linear(onPositions, namesOf(JOINER.decoder), decoder, joiner, { x: decoderOut, y: decoderProj }),
    ]),
    ...on('lattice', [
      maker.make(
        kernels.join,
        { row_vec4s: joiner },
        {
          ...{ encoder_proj: encoderProj, decoder_proj: decoderProj, y: joined },
          ...{ lattice: buffers.lattice, step: latticeStep },
        },
        byRow,
      ),
      linear(onLattice, namesOf(JOINER.output), joiner, vocabulary, { x: joined, y: logits }),
      maker.make(kernels.logSoftmax, { width: vocabSize }, { x: logits, step: latticeStep }, byRow),
    ]),
  ];
}

/** The sum over all alignments, and its gradient. */
function lattice(parts: LossParts, buffers: TransducerBuffers, type: RnntType): Promise<RowsOperation>[] {
  const { maker } = parts;
  const { losses, logits, alpha, beta, totals } = buffers;
  const overrides = { width: widthsOf(parts).vocabSize, skew: type === 'regular' ? 1 : 0 };
  const given = {
    ...{ symbols: buffers.symbols, utterances: buffers.utterances, lattice: buffers.lattice },
    ...{ step: buffers.latticeStep, log_probs: logits, alpha },
  };
  return [
    ...on('encoder', [
      maker.make(kernels.transducerAlpha, overrides, { ...given, losses }, byUtterance),
      maker.make(kernels.transducerBeta, overrides, { ...given, beta, totals }, byUtterance),
    ]),
    ...on('lattice', [maker.make(kernels.transducerGradient, overrides, { ...given, beta, totals }, byRow)]),
  ];
}

/** From the gradient of logits to those of the parameters and of the encoder's output. */
function backward(parts: LossParts, buffers: TransducerBuffers): Promise<RowsOperation>[] {
  const { maker, encoderOut, dEncoderOut, step } = parts;
  const { encoderProj, decoderOut, dDecoderOut, decoderProj, joined, dJoined, logits } = buffers;
  const { decoderStep, latticeStep } = buffers;
  const { d, decoder, joiner, vocabulary } = widthsOf(parts);
  const gradients = (ofRows: GPUBuffer, name: string, inVec4s: number, outVec4s: number, given: LinearBuffers) =>
    linearGradients({ ...parts, step: ofRows }, `${name}.weight`, [`${name}.bias`], inVec4s, outVec4s, given);
  const joinGradient = (overFrames: boolean, dx: GPUBuffer, ofRows: GPUBuffer) =>
    maker.make(
      kernels.joinGradient,
      { row_vec4s: joiner, over_frames: overFrames ? 1 : 0 },
      { y: joined, dy: dJoined, dx, lattice: buffers.lattice, step: ofRows },
      byRow,
    );
  return [
    ...on('lattice', gradients(latticeStep, JOINER.output, joiner, vocabulary, { dy: logits, x: joined, dx: dJoined })),
    ...on('encoder', [
      joinGradient(false, encoderProj, step),
      ...gradients(step, JOINER.encoder, d, joiner, { dy: encoderProj, x: encoderOut, dx: dEncoderOut }),
    ]),
    ...on('decoder', [
      joinGradient(true, decoderProj, decoderStep),
      ...gradients(decoderStep, JOINER.decoder, decoder, joiner, {
        ...{ dy: decoderProj, x: decoderOut, dx: dDecoderOut },
      }),
      maker.make(
        kernels.reluGradient,
        { row_vec4s: decoder },
        { y: decoderOut, dy: dDecoderOut, step: decoderStep },
        byRow,
      ),
      ...tableGradients(parts, buffers),
    ]),
  ];
}

/** Of the decoder's convolution and embedding, where they are trained. */
function tableGradients(parts: LossParts, buffers: TransducerBuffers): Promise<Operation>[] {
  const { maker, parameters } = parts;
  const { contexts, dDecoderOut: dy, decoderStep: step } = buffers;
  const { decoder, vocabSize, contextSize } = widthsOf(parts);
  const overrides = { row_vec4s: decoder, context_size: contextSize };
  const [embedding, conv] = [parameters.of('decoder.embedding.weight'), parameters.of('decoder.conv.weight')];
  const columns = Math.ceil(decoder / 32);
  const operations: Promise<Operation>[] = [];
  if (conv.gradient) {
    const bound = { embedding: embedding.value, contexts, dy, gradient: conv.gradient, step };
    const workgroups = () => [columns, contextSize, 1] as const;
    operations.push(maker.make(kernels.decoderConvGradient, overrides, bound, workgroups));
  }
  if (embedding.gradient) {
    const bound = { conv: conv.value, contexts, dy, gradient: embedding.gradient, step };
    const workgroups = () => [columns, vocabSize, 1] as const;
    operations.push(maker.make(kernels.embeddingGradient, overrides, bound, workgroups));
  }
  return operations;
}

interface LinearBuffers {
  dy: GPUBuffer;
  x: GPUBuffer;
  dx: GPUBuffer;
}

/** Widths in vec4s. */
function widthsOf({ sizes }: LossParts) {
  const { vocabSize, decoderDim, joinerDim, contextSize } = requireTransducer(sizes);
  const [d, decoder, joiner, vocabulary] = [sizes.encoder.dModel, decoderDim, joinerDim, vocabSize].map(vec4s);
  return { d, decoder, joiner, vocabulary, vocabSize, contextSize };
}
