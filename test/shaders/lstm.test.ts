import * as kernels from '../../src/gpu/kernels.generated.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import { packWeights, type PackedWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, withoutHalves, words } from './harness.ts';
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
    // Sums of more blocks than a workgroup has parts.
    ...(lanes.length > 4
      ? [
          { units: 530, width: 6 },
          { units: 6, width: 530 },
        ]
      : []),
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

/** A kernel's case for each way to keep its matrix, and for each tile. */
function perMethod<Buffers, Sizes, Expected>({
  name,
  dtype,
  lanes,
  packed,
  buffers,
  sizes,
  groups,
  expected,
}: {
  name: string;
  dtype: WeightDtype;
  lanes: readonly Lane[];
  packed: PackedWeights;
  buffers: Buffers;
  sizes: Sizes;
  groups: number;
  expected: Expected;
}) {
  const workgroups = (size: number, tile: number) => [ceilDiv(groups, size), ceilDiv(lanes.length, tile), 1] as const;
  const inBuffers = (size: number, tiles: readonly number[]) =>
    tiles.map((tile) => ({
      name: `tile ${tile}, ${name}`,
      overrides: { tile, weight_bits: packed.bits, ...sizes },
      buffers: { ...buffers, weight: packed.weight },
      workgroups: workgroups(size, tile),
      expected,
    }));
  const inTexels = (size: number) =>
    [1, 4, 8].map((tile) => ({
      name: `tile ${tile}, ${name}`,
      overrides: { tile, int8: Number(dtype === 'int8'), ...sizes },
      buffers: { ...buffers, weight: packed.texels },
      workgroups: workgroups(size, tile),
      expected,
    }));
  const half = dtype === 'f16' ? inBuffers(32, [1, 4]) : [];
  return {
    plain: inBuffers(32, [1, 4, 16]),
    split: inBuffers(8, [1, 4]),
    texels: inTexels(16),
    quads: inTexels(8),
    half,
  };
}

const CELL_CASES = PACKED_CASES.map((each) => {
  const { name, dtype, lanes, units, width, step, sizes, seed } = each;
  const { hidden, proj } = sizes;
  const matrix = paddedRows(proj, 4 * units, 4 * hidden, seed, 1 / Math.sqrt(width));
  const packed = packWeights(matrix, proj, 4 * hidden, dtype);
  const buffers = {
    ...common(each),
    scale: packed.scale,
    gates_x: paddedRows(step.lanes * step.frames, 4 * units, 4 * hidden, seed + 1, 3),
    h: paddedRows(SLOTS * LAYERS, width, proj, seed + 2),
    c: paddedRows(SLOTS * LAYERS, units, hidden, seed + 3, 3),
    m: poison(step.lanes * hidden),
  };
  return perMethod({
    name,
    dtype,
    lanes,
    packed,
    buffers,
    sizes: { proj_vec4s: proj / 4, hidden, layers: LAYERS },
    groups: hidden,
    expected: {
      ...twins.lstmCell({ ...buffers, weightHh: packed.values, gatesX: buffers.gates_x, lanes }, step, sizes),
    },
  });
});

describeKernel(
  kernels.lstmCell,
  CELL_CASES.flatMap(({ plain }) => plain),
);
describeKernel(
  kernels.lstmCellSplit,
  CELL_CASES.flatMap(({ split }) => split),
);
describeKernel(
  kernels.lstmCellTexels,
  CELL_CASES.flatMap(({ texels }) => texels),
);
describeKernel(
  kernels.lstmCellQuads,
  CELL_CASES.flatMap(({ quads }) => quads),
);

describeKernel(
  ...withoutHalves(
    kernels.lstmCellHalf,
    CELL_CASES.flatMap(({ half }) => half),
  ),
);

const PROJECTION_CASES = PACKED_CASES.map((each) => {
  const { name, dtype, lanes, units, width, step, sizes, seed } = each;
  const { hidden, proj } = sizes;
  const matrix = paddedRows(hidden, width, proj, seed, 1 / Math.sqrt(units));
  const packed = packWeights(matrix, hidden, proj, dtype);
  const buffers = {
    ...common(each),
    scale: packed.scale,
    m: paddedRows(step.lanes, units, hidden, seed + 1),
    h: paddedRows(SLOTS * LAYERS, width, proj, seed + 2),
    x: paddedRows(step.lanes * step.frames, width, proj, seed + 3),
  };
  return perMethod({
    name,
    dtype,
    lanes,
    packed,
    buffers,
    sizes: { hidden_vec4s: hidden / 4, proj_vec4s: proj / 4, layers: LAYERS },
    groups: proj / 4,
    expected: { ...twins.lstmProjection({ ...buffers, weightHr: packed.values, lanes }, step, sizes) },
  });
});

describeKernel(
  kernels.lstmProjection,
  PROJECTION_CASES.flatMap(({ plain }) => plain),
);
describeKernel(
  kernels.lstmProjectionSplit,
  PROJECTION_CASES.flatMap(({ split }) => split),
);
describeKernel(
  kernels.lstmProjectionTexels,
  PROJECTION_CASES.flatMap(({ texels }) => texels),
);
describeKernel(
  kernels.lstmProjectionQuads,
  PROJECTION_CASES.flatMap(({ quads }) => quads),
);

describeKernel(
  ...withoutHalves(
    kernels.lstmProjectionHalf,
    PROJECTION_CASES.flatMap(({ half }) => half),
  ),
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
