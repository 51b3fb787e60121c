import * as kernels from '../../src/gpu/kernels.generated.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison, randoms } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const CHANNELS = [1, 8, 37];
/** Lanes out of order, one shorter than the step. */
const LANES: readonly Lane[] = [
  [2, 2],
  [0, 1],
];

/** (inputs, outputs) as the kernels take it in buffers. */
const inColumns = (weight: Float32Array<ArrayBuffer>, inputs: number, outputs: number) =>
  new Float32Array(packWeights(weight, inputs, outputs, 'f32').weight.buffer);

describeKernel(
  kernels.convFirst,
  [9, 10, 11, 14].flatMap((numFeatures) =>
    CHANNELS.map((channels, seed) => {
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
        buffers: { ...buffers, weight: inColumns(buffers.weight, 9, outputs) },
        workgroups: [ceilDiv((ceilDiv(numFeatures - 2, 4) * outputs) / 4, 8), 4 * step.frames + 3, step.lanes] as const,
        expected: { y },
      };
    }),
  ),
);

const CONV_CASES = [
  { inFreqs: 7, inChannels: 8, outChannels: 5, timesPerFrame: 2, timesExtra: 1 },
  { inFreqs: 12, inChannels: 3, outChannels: 8, timesPerFrame: 1, timesExtra: 0 },
  { inFreqs: 45, inChannels: 22, outChannels: 37, timesPerFrame: 1, timesExtra: 0 },
  { inFreqs: 3, inChannels: 1, outChannels: 1, timesPerFrame: 1, timesExtra: 0 },
].map(({ inFreqs, inChannels, outChannels, timesPerFrame, timesExtra }, seed) => {
  const [inputs, outputs] = [padded(inChannels), padded(outChannels)];
  const step = { lanes: 2, frames: 1 };
  const outTimes = step.frames * timesPerFrame + timesExtra;
  const outFreqs = Math.floor((inFreqs - 3) / 2) + 1;
  const buffers = {
    weight: paddedRows(9 * inputs, outChannels, outputs, seed + 11, 0.3),
    bias: paddedRows(1, outChannels, outputs, seed + 12),
    x: paddedRows(step.lanes * (2 * outTimes + 1) * inFreqs, inChannels, inputs, seed + 13),
    y: poison(step.lanes * outTimes * outFreqs * outputs + 8),
    step: words(step.lanes, step.frames),
  };
  return {
    name: `${inChannels} to ${outChannels} channels, ${inFreqs} freqs`,
    overrides: {
      in_freqs: inFreqs,
      out_freqs: outFreqs,
      in_vec4s: inputs / 4,
      out_vec4s: outputs / 4,
      times_per_frame: timesPerFrame,
      times_extra: timesExtra,
    },
    buffers,
    lanes: step.lanes,
    positions: outTimes * outFreqs,
    expected: { y: twins.convStrided(buffers, { lanes: step.lanes, outTimes, inFreqs, outFreqs, inputs, outputs }) },
  };
});

describeKernel(
  kernels.convStrided,
  CONV_CASES.flatMap(({ lanes, positions, ...each }) => {
    const { out_vec4s: outputs, in_vec4s: inputs } = each.overrides;
    const weight = inColumns(each.buffers.weight, 36 * inputs, 4 * outputs);
    return [4, 16].map((tile) => ({
      ...each,
      name: `tile ${tile}, ${each.name}`,
      overrides: { ...each.overrides, tile },
      buffers: { ...each.buffers, weight },
      workgroups: [ceilDiv(ceilDiv(positions, tile) * outputs, 32), lanes, 1] as const,
    }));
  }),
);

/** @param size vec4s of outputs of a workgroup */
const inTexels = (size: number) =>
  CONV_CASES.flatMap(({ lanes, positions, ...each }) => {
    const { out_vec4s: outputs, in_vec4s: inputs } = each.overrides;
    const weight = packWeights(each.buffers.weight, 36 * inputs, 4 * outputs, 'f32').texels;
    return [4, 8].map((tile) => ({
      ...each,
      name: `tile ${tile}, ${each.name}`,
      overrides: { ...each.overrides, tile },
      buffers: { ...each.buffers, weight },
      workgroups: [ceilDiv(outputs, size), ceilDiv(positions, tile), lanes] as const,
    }));
  });

describeKernel(kernels.convStridedTexels, inTexels(16));
describeKernel(kernels.convStridedQuads, inTexels(8));

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
  { absolute: 0, relative: 0 },
);
