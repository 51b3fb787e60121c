import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { paddedRows, poison, randoms } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const SLOTS = 6;
/** The last one has no frame 1 any more. */
const LANES: readonly Lane[] = [
  [4, 2],
  [0, 2],
  [2, 2],
  [5, 1],
];
const STEP = { lanes: LANES.length, frames: 2 };
const FRAME = 1;
const step = words(STEP.lanes, STEP.frames);
const at = words(0, FRAME);
const lanes = words(...LANES.flat());

describeKernel(
  kernels.decoder,
  [
    { dim: 1, contextSize: 1 },
    { dim: 50, contextSize: 2 },
    { dim: 133, contextSize: 3 },
  ].map(({ dim, contextSize }, seed) => {
    const width = padded(dim);
    const buffers = {
      embedding: paddedRows(9, dim, width, seed + 81),
      conv: paddedRows(contextSize, dim, width, seed + 82),
      lanes,
      // Some before the start of the utterance, the others of nine tokens.
      contexts: Int32Array.from({ length: SLOTS * contextSize }, (_, i) => ((7 * i) % 10) - 1),
      y: poison((STEP.lanes + 1) * width),
      step,
    };
    return {
      name: `${dim} wide, ${contextSize} tokens`,
      overrides: { vec4s: width / 4, context_size: contextSize },
      buffers,
      workgroups: [ceilDiv(width / 4, 32), STEP.lanes, 1] as const,
      expected: { y: twins.decoder({ ...buffers, lanes: LANES }, width, contextSize) },
    };
  }),
);

describeKernel(
  kernels.join,
  [1, 50, 133].map((dim, seed) => {
    const width = padded(dim);
    const buffers = {
      encoder_proj: paddedRows(STEP.lanes * STEP.frames, dim, width, seed + 91, 3),
      decoder_proj: paddedRows(STEP.lanes, dim, width, seed + 92, 30),
      y: poison((STEP.lanes + 1) * width),
      step,
      at,
    };
    const twin = { encoderProj: buffers.encoder_proj, decoderProj: buffers.decoder_proj, y: buffers.y };
    return {
      name: `${dim} wide`,
      overrides: { vec4s: width / 4 },
      buffers,
      workgroups: [ceilDiv(width / 4, 32), STEP.lanes, 1] as const,
      expected: { y: twins.join(twin, STEP, width, FRAME) },
    };
  }),
);

describeKernel(
  kernels.greedyPick,
  [
    { width: 1, contextSize: 1, unk: 0xffffffff },
    { width: 3, contextSize: 2, unk: 2 },
    { width: 50, contextSize: 2, unk: 7 },
    { width: 500, contextSize: 3, unk: 0xffffffff },
  ].map(({ width, contextSize, unk }, seed) => {
    const stride = padded(width);
    const logits = randoms(STEP.lanes * stride, seed + 95, 6);
    // Lane 0 chooses blank, lane 1 the unknown token or any, lane 2 the first of two equals; padding never wins.
    logits[0] = 9;
    logits[stride + Math.min(unk, width - 1)] = 9;
    logits.fill(8, 2 * stride + (width >> 1), 2 * stride + (width >> 1) + 2);
    for (let lane = 0; lane < STEP.lanes; lane++) {
      logits.fill(99, lane * stride + width, (lane + 1) * stride);
    }
    const buffers = {
      logits,
      lanes,
      contexts: Int32Array.from({ length: SLOTS * contextSize }, (_, i) => i - 1),
      picked: poison(4 * (STEP.lanes + 1) * STEP.frames),
      step,
      at,
    };
    const settings = { width, contextSize, silent: [0, unk], frame: FRAME };
    return {
      name: `${width} tokens, context of ${contextSize}`,
      overrides: { width, context_size: contextSize, blank: 0, unk },
      buffers,
      workgroups: [STEP.lanes, 1, 1] as const,
      expected: { ...twins.greedyPick({ ...buffers, lanes: LANES }, STEP, settings) },
    };
  }),
);

describeKernel(
  kernels.ctcPick,
  [
    { width: 1, blankPenalty: 0 },
    { width: 29, blankPenalty: 0 },
    { width: 50, blankPenalty: 2.5 },
    { width: 131, blankPenalty: -1 },
  ].map(({ width, blankPenalty }, seed) => {
    const rows = 6;
    const stride = padded(width);
    const logits = randoms((rows + 1) * stride, seed + 105, 6);
    // Row 0 chooses the blank for its penalty only, row 1 the first of two equals, row 2 the last; padding never wins.
    logits.set([9, 9 - blankPenalty / 2], 0);
    logits.fill(8, stride + (width >> 1), stride + (width >> 1) + 2);
    logits[2 * stride + width - 1] = 20;
    for (let row = 0; row <= rows; row++) {
      logits.fill(99, row * stride + width, (row + 1) * stride);
    }
    const buffers = { logits, picked: poison(4 * (rows + 1)), step: words(2, 3) };
    return {
      name: `${width} tokens, blank penalty ${blankPenalty}`,
      overrides: { width, blank: 0, blank_penalty: blankPenalty },
      buffers,
      workgroups: [rows + 1, 1, 1] as const,
      expected: { picked: twins.ctcPick(buffers, { rows, width, blank: 0, blankPenalty }) },
    };
  }),
);
