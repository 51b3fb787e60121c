import type { WeightDtype } from '../../src/model/dtypes.ts';
import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { packWeights, type PackedWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { alsoInAll } from '../support/scope.ts';
import { ceilDiv, describeKernel, describeSameBytes, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const SLOTS = 7;
const LAYERS = 2;
const STEP_FRAMES = 2;

interface Shape {
  lanes: readonly Lane[];
  units: number;
  width: number;
  dtype?: WeightDtype;
}

/** Lanes that fill no tile; some have no frame 1 any more. */
const SIX_LANES: readonly Lane[] = [
  [5, 2],
  [1, 2],
  [6, 2],
  [0, 1],
  [3, 2],
  [2, 1],
];

/** What a dtype adds to a sum is its scale; how each is unpacked, the cases of linear show. */
const SMALLEST: Shape = { lanes: [[3, 2]], units: 1, width: 1 };
const ODD: Shape = { lanes: SIX_LANES, units: 70, width: 133 };
const SCALED: Shape = { lanes: SIX_LANES, units: 6, width: 10, dtype: 'int8' };
const ANOTHER: Shape = { lanes: [...SIX_LANES, [4, 2]], units: 133, width: 99, dtype: 'f16' };

function sizesOf({ lanes, units, width }: Shape) {
  const step = { lanes: lanes.length, frames: STEP_FRAMES };
  const sizes = { hidden: padded(units), proj: padded(width), layers: LAYERS, layer: 1, frame: 1 };
  const common = {
    lanes: words(...lanes.flat()),
    step: words(step.lanes, step.frames),
    at: words(sizes.layer, sizes.frame),
  };
  return { step, sizes, common };
}

const nameOf = ({ lanes, units, width, dtype = 'f32' }: Shape) =>
  `${dtype}, ${lanes.length} lanes, ${units} units, ${width} wide`;

/** A kernel's case for each way to keep its matrix, and for each tile. */
function perMethod<Buffers, Expected>(
  shape: Shape,
  packed: PackedWeights,
  { buffers, expected }: { buffers: Buffers; expected: Expected },
  [in_vec4s, out_vec4s]: readonly [number, number],
) {
  const ofTile = (tile: number, size: number) => ({
    name: `tile ${tile}, ${nameOf(shape)}`,
    overrides: { tile, weight_bits: packed.bits, in_vec4s, out_vec4s, layers: LAYERS },
    workgroups: [ceilDiv(out_vec4s, size), ceilDiv(shape.lanes.length, tile), 1] as const,
    expected,
  });
  const inBuffers = (size: number, tiles: readonly number[]) =>
    tiles.map((tile) => ({ ...ofTile(tile, size), buffers: { ...buffers, weight: packed.weight } }));
  const inTexels = (size: number) =>
    [1, 4, 8].map((tile) => ({ ...ofTile(tile, size), buffers: { ...buffers, weight: packed.texels } }));
  return { plain: inBuffers(32, [1, 4, 16]), split: inBuffers(8, [1, 4]), texels: inTexels(16), quads: inTexels(8) };
}

function cellCase(shape: Shape) {
  const { lanes, units, width, dtype = 'f32' } = shape;
  const { step, sizes, common } = sizesOf(shape);
  const { hidden, proj } = sizes;
  const packed = packWeights(
    paddedRows(proj, 4 * units, 4 * hidden, 71, 1 / Math.sqrt(width)),
    proj,
    4 * hidden,
    dtype,
  );
  const buffers = {
    ...common,
    scale: packed.scale,
    gates_x: paddedRows(step.lanes * step.frames, 4 * units, 4 * hidden, 72, 3),
    h: paddedRows(SLOTS * LAYERS, width, proj, 73),
    c: paddedRows(SLOTS * LAYERS, units, hidden, 74, 3),
    m: poison(step.lanes * hidden),
  };
  const twin = { ...buffers, weightHh: packed.values, gatesX: buffers.gates_x, lanes };
  return perMethod(shape, packed, { buffers, expected: { ...twins.lstmCell(twin, step, sizes) } }, [proj / 4, hidden]);
}

function projectionCase(shape: Shape) {
  const { lanes, units, width, dtype = 'f32' } = shape;
  const { step, sizes, common } = sizesOf(shape);
  const { hidden, proj } = sizes;
  const packed = packWeights(paddedRows(hidden, width, proj, 75, 1 / Math.sqrt(units)), hidden, proj, dtype);
  const buffers = {
    ...common,
    scale: packed.scale,
    m: paddedRows(step.lanes, units, hidden, 76),
    h: paddedRows(SLOTS * LAYERS, width, proj, 77),
    x: paddedRows(step.lanes * step.frames, width, proj, 78),
  };
  const expected = { ...twins.lstmProjection({ ...buffers, weightHr: packed.values, lanes }, step, sizes) };
  return perMethod(shape, packed, { buffers, expected }, [hidden / 4, proj / 4]);
}

/** Other methods' bytes are held against the plain one's: beside that, their twins are for the long suite. */
const inAll = <Case>(cases: readonly Case[]) => alsoInAll<Case>([], cases);

/** Those that other methods' smallest cases run by: of their tiles the largest, which such a step fills least. */
const largestTile = <Case>(cases: readonly Case[]) => [...cases.slice(-1), ...inAll(cases.slice(0, -1))];

const cell = {
  smallest: cellCase(SMALLEST),
  odd: cellCase(ODD),
  scaled: cellCase(SCALED),
  another: cellCase(ANOTHER),
};
describeKernel(kernels.lstmCell, [...cell.smallest.plain, ...cell.odd.plain, cell.scaled.plain[1]]);
describeKernel(kernels.lstmCellSplit, [...largestTile(cell.smallest.split), ...inAll(cell.odd.split)], {
  raced: cell.smallest.split,
});
describeKernel(kernels.lstmCellTexels, [...largestTile(cell.smallest.texels), ...inAll(cell.odd.texels)], {
  raced: cell.smallest.texels,
});
describeKernel(kernels.lstmCellQuads, [...largestTile(cell.smallest.quads), ...inAll(cell.odd.quads)], {
  raced: cell.smallest.quads,
});
describeSameBytes(
  [kernels.lstmCell, cell.another.plain[0]],
  [
    [kernels.lstmCell, cell.another.plain.slice(1)],
    [kernels.lstmCellSplit, cell.another.split],
    [kernels.lstmCellTexels, cell.another.texels],
    [kernels.lstmCellQuads, cell.another.quads],
  ],
);

const projection = {
  smallest: projectionCase(SMALLEST),
  odd: projectionCase(ODD),
  scaled: projectionCase(SCALED),
  another: projectionCase(ANOTHER),
};
describeKernel(kernels.lstmProjection, [
  ...projection.smallest.plain,
  ...projection.odd.plain,
  projection.scaled.plain[1],
]);
describeKernel(
  kernels.lstmProjectionSplit,
  [...largestTile(projection.smallest.split), ...inAll(projection.odd.split)],
  {
    raced: projection.smallest.split,
  },
);
describeKernel(
  kernels.lstmProjectionTexels,
  [...largestTile(projection.smallest.texels), ...inAll(projection.odd.texels)],
  {
    raced: projection.smallest.texels,
  },
);
describeKernel(
  kernels.lstmProjectionQuads,
  [...largestTile(projection.smallest.quads), ...inAll(projection.odd.quads)],
  {
    raced: projection.smallest.quads,
  },
);
describeSameBytes(
  [kernels.lstmProjection, projection.another.plain[0]],
  [
    [kernels.lstmProjection, projection.another.plain.slice(1)],
    [kernels.lstmProjectionSplit, projection.another.split],
    [kernels.lstmProjectionTexels, projection.another.texels],
    [kernels.lstmProjectionQuads, projection.another.quads],
  ],
);

describeKernel(
  kernels.lstmCarry,
  [SMALLEST, ODD].map((shape) => {
    const { step, sizes, common } = sizesOf({ ...shape, width: shape.units });
    const { hidden } = sizes;
    const buffers = {
      ...common,
      m: paddedRows(step.lanes, shape.units, hidden, 81),
      h: paddedRows(SLOTS * LAYERS, shape.units, hidden, 82),
      x: paddedRows(step.lanes * step.frames, shape.units, hidden, 83),
    };
    return {
      name: nameOf(shape),
      overrides: { out_vec4s: hidden / 4, layers: LAYERS },
      buffers,
      workgroups: [ceilDiv(hidden / 4, 32), step.lanes, 1] as const,
      expected: { ...twins.lstmProjection({ ...buffers, lanes: shape.lanes }, step, sizes) },
    };
  }),
);
