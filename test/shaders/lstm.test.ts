import * as kernels from '../../src/gpu/kernels.generated.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const SLOTS = 7;
const LAYERS = 2;

/** Lane tables: one alone, a whole tile, a tile and a rest; some have no frame 1 any more. */
const LANE_TABLES: readonly (readonly Lane[])[] = [
  [[3, 2]],
  [
    [0, 2],
    [6, 1],
    [2, 2],
    [4, 2],
  ],
  [
    [5, 2],
    [1, 2],
    [6, 2],
    [0, 1],
    [3, 2],
    [2, 1],
  ],
];

const CASES = LANE_TABLES.flatMap((lanes, i) =>
  [
    { units: 1, width: 1 },
    { units: 70, width: 50 },
  ].map(({ units, width }) => {
    const step = { lanes: lanes.length, frames: 2 };
    const sizes = { hidden: padded(units), proj: padded(width), layers: LAYERS, layer: 1, frame: 1 };
    return {
      name: `${lanes.length} lanes, ${units} units, ${width} wide`,
      lanes,
      units,
      width,
      step,
      sizes,
      seed: 71 + i,
    };
  }),
);

/** The kernels that read a matrix, over each of its types. */
const PACKED_CASES = CASES.flatMap((each) =>
  WEIGHT_DTYPES.map((dtype) => ({ ...each, dtype, name: `${dtype}, ${each.name}` })),
);

const common = ({ lanes, step, sizes }: (typeof CASES)[number]) => ({
  lanes: words(...lanes.flat()),
  step: words(step.lanes, step.frames),
  at: words(sizes.layer, sizes.frame),
});

describeKernel(
  kernels.lstmCell,
  PACKED_CASES.map((each) => {
    const { name, lanes, units, width, step, sizes, seed, dtype } = each;
    const { hidden, proj } = sizes;
    const matrix = paddedRows(proj, 4 * units, 4 * hidden, seed, 1 / Math.sqrt(width));
    const { weight, scale, bits, values } = packWeights(matrix, proj, 4 * hidden, dtype);
    const buffers = {
      ...common(each),
      weight,
      scale,
      gates_x: paddedRows(step.lanes * step.frames, 4 * units, 4 * hidden, seed + 1, 3),
      h: paddedRows(SLOTS * LAYERS, width, proj, seed + 2),
      c: paddedRows(SLOTS * LAYERS, units, hidden, seed + 3, 3),
      m: poison(step.lanes * hidden),
    };
    return {
      name,
      overrides: { weight_bits: bits, proj_vec4s: proj / 4, hidden, layers: LAYERS },
      buffers,
      workgroups: [ceilDiv(hidden, 32), ceilDiv(step.lanes, 4), 1] as const,
      expected: { ...twins.lstmCell({ ...buffers, weightHh: values, gatesX: buffers.gates_x, lanes }, step, sizes) },
    };
  }),
);

describeKernel(
  kernels.lstmProjection,
  PACKED_CASES.map((each) => {
    const { name, lanes, units, width, step, sizes, seed, dtype } = each;
    const { hidden, proj } = sizes;
    const matrix = paddedRows(hidden, width, proj, seed, 1 / Math.sqrt(units));
    const { weight, scale, bits, values } = packWeights(matrix, hidden, proj, dtype);
    const buffers = {
      ...common(each),
      weight,
      scale,
      m: paddedRows(step.lanes, units, hidden, seed + 1),
      h: paddedRows(SLOTS * LAYERS, width, proj, seed + 2),
      x: paddedRows(step.lanes * step.frames, width, proj, seed + 3),
    };
    return {
      name,
      overrides: { weight_bits: bits, hidden_vec4s: hidden / 4, proj_vec4s: proj / 4, layers: LAYERS },
      buffers,
      workgroups: [ceilDiv(proj / 4, 32), ceilDiv(step.lanes, 4), 1] as const,
      expected: { ...twins.lstmProjection({ ...buffers, weightHr: values, lanes }, step, sizes) },
    };
  }),
);

describeKernel(
  kernels.lstmCarry,
  CASES.map((each) => {
    const { name, lanes, units, step, seed } = each;
    const sizes = { ...each.sizes, proj: each.sizes.hidden };
    const { hidden } = sizes;
    const buffers = {
      ...common(each),
      m: paddedRows(step.lanes, units, hidden, seed + 1),
      h: paddedRows(SLOTS * LAYERS, units, hidden, seed + 2),
      x: paddedRows(step.lanes * step.frames, units, hidden, seed + 3),
    };
    return {
      name,
      overrides: { hidden_vec4s: hidden / 4, layers: LAYERS },
      buffers,
      workgroups: [ceilDiv(hidden / 4, 32), step.lanes, 1] as const,
      expected: { ...twins.lstmProjection({ ...buffers, lanes }, step, sizes) },
    };
  }),
);
