import * as kernels from '../../../src/training/kernels.generated.ts';
import { paddedRows, poison, randoms } from '../../support/random.ts';
import { decoder, decoderBackward, join, joinBackward } from '../../training/twins/decoder-joiner.ts';
import type { Numbers } from '../../training/twins/numbers.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { addedTo, overwritten, paddedToVec4s } from './layouts.ts';

const floats = (values: Numbers) => Float32Array.from(values);

/** More columns than a workgroup has threads, and tokens that come twice, or never. */
const DECODERS = [
  { contexts: [[0]], vocabSize: 1, width: 1 },
  {
    contexts: [
      [-1, 0],
      [0, 3],
      [3, 3],
      [3, 4],
      [-1, -1],
    ],
    vocabSize: 7,
    width: 133,
  },
].map(({ contexts, vocabSize, width }) => {
  const [rows, contextSize, stride] = [contexts.length, contexts[0].length, padded(width)];
  const embedding = randoms(vocabSize * width, 91);
  const conv = randoms(width * contextSize, 92);
  /** (decoder_dim, 1, context_size) as kernels have it: (context_size, decoder_dim). */
  const transposed = (values: Numbers) =>
    Float64Array.from(
      { length: width * contextSize },
      (_, i) => values[(i % width) * contextSize + Math.floor(i / width)],
    );
  const before = decoder({ embedding, conv }, contexts, width);
  const dy = randoms(rows * width, 93);
  const { dEmbedding, dConv } = decoderBackward(dy, { embedding, conv }, contexts, width);
  return {
    name: `${rows} contexts of ${contextSize}, ${width} wide`,
    rows,
    contextSize,
    vocabSize,
    width,
    vec4s: stride / 4,
    given: {
      embedding: floats(paddedToVec4s(embedding, width)),
      conv: floats(paddedToVec4s(transposed(conv), width)),
      contexts: Int32Array.from(contexts.flat()),
      dy: floats(paddedToVec4s(dy, width)),
      step: words(rows, 1),
    },
    before,
    dEmbedding: paddedToVec4s(dEmbedding, width),
    dConv: paddedToVec4s(transposed(dConv), width),
  };
});

/** An output with a row behind its last, which stays as it is. */
const withRow = (own: Numbers, width: number) => overwritten(poison(own.length + width), own);

describeKernel(
  kernels.decoder,
  DECODERS.map(({ name, rows, contextSize, width, vec4s, given, before }) => {
    const { embedding, conv, contexts, step } = given;
    const y = paddedToVec4s(
      before.map((value) => Math.max(value, 0)),
      width,
    );
    return {
      name,
      overrides: { row_vec4s: vec4s, context_size: contextSize },
      buffers: { embedding, conv, contexts, y: poison(y.length + 4 * vec4s), step },
      workgroups: [rows + 1, 1, 1] as const,
      expected: { y: withRow(y, 4 * vec4s) },
    };
  }),
);

describeKernel(
  kernels.reluGradient,
  DECODERS.map(({ name, rows, width, vec4s, given }) => {
    const y = paddedRows(rows, width, 4 * vec4s, 94).map((value) => Math.max(value, 0));
    const expected = Float64Array.from(given.dy, (value, i) => (y[i] > 0 ? value : 0));
    return {
      name,
      overrides: { row_vec4s: vec4s },
      buffers: { y, dy: floats(withRow(given.dy, 4 * vec4s)), step: given.step },
      workgroups: [rows + 1, 1, 1] as const,
      expected: { dy: withRow(expected, 4 * vec4s) },
    };
  }),
);

describeKernel(
  kernels.decoderConvGradient,
  DECODERS.map(({ name, contextSize, width, vec4s, given, dConv }) => {
    const { embedding, contexts, dy, step } = given;
    const gradient = paddedRows(contextSize, width, 4 * vec4s, 95);
    return {
      name,
      overrides: { row_vec4s: vec4s, context_size: contextSize },
      buffers: { embedding, contexts, dy, gradient, step },
      workgroups: [ceilDiv(vec4s, 32), contextSize, 1] as const,
      expected: { gradient: addedTo(gradient, dConv) },
    };
  }),
);

describeKernel(
  kernels.embeddingGradient,
  DECODERS.map(({ name, contextSize, vocabSize, width, vec4s, given, dEmbedding }) => {
    const { conv, contexts, dy, step } = given;
    const gradient = paddedRows(vocabSize, width, 4 * vec4s, 96);
    return {
      name,
      overrides: { row_vec4s: vec4s, context_size: contextSize },
      buffers: { conv, contexts, dy, gradient, step },
      workgroups: [ceilDiv(vec4s, 32), vocabSize, 1] as const,
      expected: { gradient: addedTo(gradient, dEmbedding) },
    };
  }),
);

/** Of each utterance its frames with its positions, as the twin has them, and all of them as rows. */
const JOINERS = [
  { utterances: 1, frames: 1, positions: 1, width: 1 },
  { utterances: 3, frames: 5, positions: 4, width: 133 },
].map(({ utterances, frames, positions, width }) => {
  const [stride, lanes] = [padded(width), utterances * positions];
  const [encoderRows, decoderRows, latticeRows] = [frames * utterances, lanes, frames * lanes];
  const encoderProj = new Float64Array(encoderRows * stride);
  const decoderProj = new Float64Array(decoderRows * stride);
  const [dEncoderProj, dDecoderProj] = [encoderProj.slice(), decoderProj.slice()];
  const y = new Float64Array(latticeRows * stride);
  const dy = y.slice();
  for (let n = 0; n < utterances; n++) {
    const own = {
      encoderProj: randoms(frames * width, 101 + n),
      decoderProj: randoms(positions * width, 111 + n),
    };
    const joined = floats(join(own, width));
    const dJoined = randoms(joined.length, 121 + n);
    const back = joinBackward({ dy: dJoined, y: joined }, { frames, width: positions, joinerDim: width });
    const put = (rows: Float64Array, row: number, values: Numbers, from: number) => {
      for (let k = 0; k < width; k++) {
        rows[row * stride + k] = values[from * width + k];
      }
    };
    for (let t = 0; t < frames; t++) {
      put(encoderProj, t * utterances + n, own.encoderProj, t);
      put(dEncoderProj, t * utterances + n, back.dEncoderProj, t);
      for (let u = 0; u < positions; u++) {
        put(y, t * lanes + n * positions + u, joined, t * positions + u);
        put(dy, t * lanes + n * positions + u, dJoined, t * positions + u);
      }
    }
    for (let u = 0; u < positions; u++) {
      put(decoderProj, n * positions + u, own.decoderProj, u);
      put(dDecoderProj, n * positions + u, back.dDecoderProj, u);
    }
  }
  return {
    name: `${utterances} utterances of ${frames} frames, ${positions} positions, ${width} wide`,
    vec4s: stride / 4,
    lattice: words(positions, frames),
    steps: { encoder: words(utterances, frames), decoder: words(lanes, 1), lattice: words(lanes, frames) },
    rows: { encoder: encoderRows, decoder: decoderRows, lattice: latticeRows },
    ...{ encoderProj, decoderProj, dEncoderProj, dDecoderProj, y, dy },
  };
});

describeKernel(
  kernels.join,
  JOINERS.map(({ name, vec4s, lattice, steps, rows, encoderProj, decoderProj, y }) => ({
    name,
    overrides: { row_vec4s: vec4s },
    buffers: {
      ...{ encoder_proj: floats(encoderProj), decoder_proj: floats(decoderProj) },
      ...{ y: poison(y.length + 4 * vec4s), lattice, step: steps.lattice },
    },
    workgroups: [rows.lattice + 1, 1, 1] as const,
    expected: { y: withRow(y, 4 * vec4s) },
  })),
);

describeKernel(
  kernels.joinGradient,
  JOINERS.flatMap(({ name, vec4s, lattice, steps, rows, y, dy, dEncoderProj, dDecoderProj }) =>
    (['encoder', 'decoder'] as const).map((side) => {
      const expected = side === 'encoder' ? dEncoderProj : dDecoderProj;
      return {
        name: `${name}: the ${side}'s`,
        overrides: { row_vec4s: vec4s, over_frames: side === 'decoder' ? 1 : 0 },
        buffers: {
          ...{ y: floats(y), dy: floats(dy), dx: poison(expected.length + 4 * vec4s) },
          ...{ lattice, step: steps[side] },
        },
        workgroups: [rows[side] + 1, 1, 1] as const,
        expected: { dx: withRow(expected, 4 * vec4s) },
      };
    }),
  ),
);
