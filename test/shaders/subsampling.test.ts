import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison, randoms } from '../support/random.ts';
import { ceilDiv, describeKernel, describeSameBytes, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const CHANNELS = [1, 8, 37];
/** Lanes out of order, one shorter than the step. */
const LANES: readonly Lane[] = [
  [2, 2],
  [0, 1],
];

describeKernel(
  kernels.convFirst,
  [9, 10, 11, 14].map((numFeatures, seed) => {
    const channels = CHANNELS[seed % CHANNELS.length];
    const outputs = padded(channels);
    const step = { lanes: LANES.length, frames: 2 };
    const size = step.lanes * (4 * step.frames + 3) * (numFeatures - 2) * outputs;
    const buffers = {
      weight: paddedRows(9, channels, outputs, seed + 1),
      bias: paddedRows(1, channels, outputs, seed + 2),
      context: randoms(3 * 5 * numFeatures, seed + 3, 3),
      features: randoms(step.lanes * 4 * step.frames * numFeatures, seed + 4, 3),
      lanes: words(...LANES.flat()),
      // Eight elements more than the kernel owns.
      y: poison(size + 8),
      step: words(step.lanes, step.frames),
    };
    const y = twins.convFirst({ ...buffers, lanes: LANES }, step, numFeatures, outputs);
    return {
      name: `${numFeatures} features, ${channels} channels`,
      overrides: { num_features: numFeatures, out_vec4s: outputs / 4 },
      buffers: { ...buffers, weight: packWeights(buffers.weight, 9, outputs, 'f32').weight },
      workgroups: [ceilDiv((ceilDiv(numFeatures - 2, 4) * outputs) / 4, 8), 4 * step.frames + 3, step.lanes] as const,
      expected: { y },
    };
  }),
);

interface ConvShape {
  inFreqs: number;
  inChannels: number;
  outChannels: number;
  timesPerFrame: number;
  timesExtra: number;
}

function convCase({ inFreqs, inChannels, outChannels, timesPerFrame, timesExtra }: ConvShape) {
  const [inputs, outputs] = [padded(inChannels), padded(outChannels)];
  const step = { lanes: 2, frames: 1 };
  const outTimes = step.frames * timesPerFrame + timesExtra;
  const outFreqs = Math.floor((inFreqs - 3) / 2) + 1;
  const positions = outTimes * outFreqs;
  const matrix = paddedRows(9 * inputs, outChannels, outputs, 11, 0.3);
  const packed = packWeights(matrix, 9 * inputs, outputs, 'f32');
  const buffers = {
    bias: paddedRows(1, outChannels, outputs, 12),
    x: paddedRows(step.lanes * (2 * outTimes + 1) * inFreqs, inChannels, inputs, 13),
    y: poison(step.lanes * positions * outputs + 8),
    step: words(step.lanes, step.frames),
  };
  const sizes = { lanes: step.lanes, outTimes, inFreqs, outFreqs, inputs, outputs };
  const expected = { y: twins.convStrided({ ...buffers, weight: matrix }, sizes) };
  const overrides = {
    in_freqs: inFreqs,
    out_freqs: outFreqs,
    channel_vec4s: inputs / 4,
    in_vec4s: (9 * inputs) / 4,
    block_vec4s: (9 * inputs) / 4,
    out_vec4s: outputs / 4,
    times_per_frame: timesPerFrame,
    times_extra: timesExtra,
    weight_bits: packed.bits,
  };
  const ofTile = (tile: number) => ({
    name: `tile ${tile}, ${inChannels} to ${outChannels} channels, ${inFreqs} freqs`,
    overrides: { ...overrides, tile },
    expected,
  });
  return {
    inBuffers: (tiles: readonly number[]) =>
      tiles.map((tile) => ({
        ...ofTile(tile),
        buffers: { ...buffers, weight: packed.weight },
        workgroups: [ceilDiv((ceilDiv(positions, tile) * outputs) / 4, 32), 1, step.lanes] as const,
      })),
    /** @param size vec4s of outputs of a workgroup */
    inTexels: (size: number) =>
      [4, 8].map((tile) => ({
        ...ofTile(tile),
        buffers: { ...buffers, weight: packed.texels },
        workgroups: [ceilDiv(outputs / 4, size), ceilDiv(positions, tile), step.lanes] as const,
      })),
  };
}

const CONV_CASES = [
  { inFreqs: 3, inChannels: 1, outChannels: 1, timesPerFrame: 1, timesExtra: 0 },
  { inFreqs: 45, inChannels: 22, outChannels: 37, timesPerFrame: 2, timesExtra: 1 },
].map(convCase);

describeKernel(
  kernels.convStrided,
  CONV_CASES.flatMap(({ inBuffers }) => inBuffers([4, 16])),
);
describeKernel(
  kernels.convStridedTexels,
  CONV_CASES.flatMap(({ inTexels }) => inTexels(16)),
);
describeKernel(
  kernels.convStridedQuads,
  CONV_CASES.flatMap(({ inTexels }) => inTexels(8)),
);

const another = convCase({ inFreqs: 12, inChannels: 3, outChannels: 70, timesPerFrame: 1, timesExtra: 0 });
describeSameBytes(
  [kernels.convStrided, another.inBuffers([4])[0]],
  [
    [kernels.convStrided, another.inBuffers([16])],
    [kernels.convStridedTexels, another.inTexels(16)],
    [kernels.convStridedQuads, another.inTexels(8)],
  ],
);

describeKernel(
  kernels.saveContext,
  [1, 3].map((frames) => {
    const numFeatures = 9;
    const step = { lanes: LANES.length, frames };
    // The second lane always has one frame: one old frame of context stays.
    const lanes: readonly Lane[] = [
      [2, frames],
      [0, 1],
    ];
    const buffers = {
      features: randoms(step.lanes * 4 * frames * numFeatures, 21),
      lanes: words(...lanes.flat()),
      context: randoms(3 * 5 * numFeatures, 22),
      step: words(step.lanes, frames),
    };
    return {
      name: `${frames} frames`,
      overrides: { num_features: numFeatures },
      buffers,
      workgroups: [1, step.lanes, 1] as const,
      expected: { context: twins.saveContext({ ...buffers, lanes }, step, numFeatures) },
    };
  }),
  { tolerance: { absolute: 0, relative: 0 } },
);
