/** Kernels that keep values in f16, against those that keep them in f32, over values that f16 has. */
import { expect, it } from 'vitest';
import { toHalf } from '../../../src/model/dtypes.ts';
import { decodeFloats } from '../../../src/model/tensors.ts';
import type { KernelSource, Workgroups } from '../../../src/webgpu/device/kernel.ts';
import * as kernels from '../../../src/training/kernels.generated.ts';
import { expectClose } from '../../support/close.ts';
import { poison, randoms } from '../../support/random.ts';
import type { Texels } from '../../support/packed.ts';
import { KERNEL_TOLERANCE, runOnGpu, words } from '../harness.ts';

type Floats = Float32Array<ArrayBuffer>;
type Given = Floats | Uint32Array<ArrayBuffer> | Texels;

const [LANES, FRAMES, WIDTH, INPUTS, OUTPUTS] = [3, 2, 13, 5, 9];
const ROWS = LANES * FRAMES;
/** A unit in the last place of f16, and of what is below its normal numbers. */
const HALF_TOLERANCE = { absolute: 2 ** -24, relative: 2 ** -10 };

const halves = (values: Floats) => toHalf('test', values);
const packed = (values: Floats) => new Uint32Array(halves(values).buffer);
const unpacked = (read: Float32Array) =>
  decodeFloats(new Uint8Array(read.buffer, read.byteOffset, read.byteLength), 'F16');
const rounded = (values: Floats) => decodeFloats(new Uint8Array(halves(values).buffer), 'F16');

interface Pair {
  f32: KernelSource;
  f16: KernelSource;
  overrides: Record<string, number>;
  /** Floats of each storage buffer. */
  sizes: Record<string, number>;
  /** Those that are kept in f16. */
  kept: readonly string[];
  /** What is written, and the name that it has in f32. */
  written: Record<string, string>;
  workgroups: Workgroups;
}

const byRow = { workgroups: [ROWS, 1, 1] as const };
const row = { row_vec4s: WIDTH };
const masked = { ...row, is_masked: 1, keep_scale: 1.25 };
const wide = 4 * ROWS * WIDTH;
const norm = { overrides: { width: 4 * WIDTH }, ...byRow };
const [inputs, outputs] = [4 * ROWS * INPUTS, 4 * ROWS * OUTPUTS];
const matrix = 16 * INPUTS * OUTPUTS;
const product = { in_vec4s: INPUTS, out_vec4s: OUTPUTS, accumulate: 0, tile: 4 };
/** Units, padded, and their gates. */
const [units, gates] = [4 * ROWS * OUTPUTS, 16 * ROWS * OUTPUTS];
const ofCell = { c: units, gates, carried: 4 * LANES * OUTPUTS };

const PAIRS: readonly Pair[] = [
  {
    ...{ f32: kernels.add, f16: kernels.addF16, overrides: row, ...byRow },
    ...{ sizes: { x: wide, y: wide }, kept: ['x'], written: { y: 'y' } },
  },
  {
    ...{ f32: kernels.combine, f16: kernels.combineF16, overrides: { ...row, inputs: 2 }, ...byRow },
    ...{ sizes: { weights: 2 * ROWS, x: wide, y: wide }, kept: ['x'], written: { y: 'y' } },
  },
  {
    ...{ f32: kernels.bypass, f16: kernels.bypassF16, ...norm },
    ...{ sizes: { eps: 4, alpha: 4, x2: wide, x: wide, y: wide }, kept: ['x2', 'x', 'y'], written: { y: 'y' } },
  },
  {
    ...{ f32: kernels.bypassGradient, f16: kernels.bypassGradientF16, ...norm },
    ...{ sizes: { eps: 4, alpha: 4, x2: wide, dout: wide, dx2: wide, deps: 4 * ROWS }, kept: ['x2'] },
    written: { dx2: 'dx2', dout: 'dout', deps: 'deps' },
  },
  {
    ...{ f32: kernels.residual, f16: kernels.residualF16, overrides: masked, ...byRow },
    ...{ sizes: { x: wide, branch: wide, y: wide, mask: wide / 32 + 1 }, kept: ['x', 'branch', 'y'] },
    written: { y: 'y' },
  },
  {
    ...{ f32: kernels.swish, f16: kernels.swishF16, overrides: masked, ...byRow },
    ...{ sizes: { a: wide, u: wide, mask: wide / 32 + 1 }, kept: ['a', 'u'], written: { u: 'u' } },
  },
  {
    ...{ f32: kernels.swishGradient, f16: kernels.swishGradientF16, overrides: masked, ...byRow },
    ...{ sizes: { a: wide, du: wide, mask: wide / 32 + 1 }, kept: ['a'], written: { du: 'du' } },
  },
  {
    ...{ f32: kernels.linear, f16: kernels.linearF16, overrides: product, workgroups: [1, 2, 1] },
    ...{ sizes: { weight: matrix, bias: 4 * OUTPUTS, x: inputs, y: outputs }, kept: ['x', 'y'], written: { y: 'y' } },
  },
  {
    ...{ f32: kernels.weightGradient, f16: kernels.weightGradientF16, workgroups: [1, OUTPUTS, 1] },
    overrides: { ...product, is_delayed: 1, tile: 1 },
    ...{ sizes: { dy: outputs, x: inputs, gradient: matrix }, kept: ['x'], written: { gradient: 'gradient' } },
  },
  {
    ...{ f32: kernels.weightGradientEights, f16: kernels.weightGradientEightsF16 },
    ...{ workgroups: [1, Math.ceil(OUTPUTS / 2), 1], overrides: { ...product, is_delayed: 1, tile: 2 } },
    ...{ sizes: { dy: outputs, x: inputs, gradient: matrix }, kept: ['x'], written: { gradient: 'gradient' } },
  },
  {
    ...{ f32: kernels.lstmCell, f16: kernels.lstmCellF16, overrides: product, workgroups: [1, 1, 1] },
    // Here four outputs are a unit's gates.
    sizes: { weight: matrix, bias: 4 * OUTPUTS, h: inputs, gates: outputs, c: ROWS * OUTPUTS, m: ROWS * OUTPUTS },
    ...{ kept: ['h', 'gates'], written: { gates: 'gates', c: 'c', m: 'm' } },
  },
  {
    ...{ f32: kernels.lstmProjection, f16: kernels.lstmProjectionF16, overrides: product, workgroups: [1, 1, 1] },
    ...{ sizes: { weight: matrix, m: inputs, h: outputs }, kept: ['h'], written: { h: 'h' } },
  },
  {
    ...{ f32: kernels.lstmCarry, f16: kernels.lstmCarryF16, overrides: { vec4s: OUTPUTS }, workgroups: [1, 1, 1] },
    ...{ sizes: { m: outputs, h: outputs }, kept: ['h'], written: { h: 'h' } },
  },
  {
    ...{ f32: kernels.lstmCellGradient, f16: kernels.lstmCellGradientF16, overrides: product, workgroups: [1, 1, 1] },
    ...{ sizes: { weight: matrix, dh: inputs, ...ofCell, dz: gates }, kept: ['gates'] },
    written: { dz: 'gates', carried: 'carried' },
  },
  {
    ...{ f32: kernels.lstmCarryGradient, f16: kernels.lstmCarryGradientF16, overrides: { vec4s: OUTPUTS } },
    ...{ sizes: { dh: units, ...ofCell, dz: gates }, kept: ['gates'], workgroups: [1, 1, 1] },
    written: { dz: 'gates', carried: 'carried' },
  },
];

/** Products whose matrix lies in a texture, and rows of a thread there. */
const TEXELS = [
  [kernels.linearF16, kernels.linearTexelsF16, 8],
  [kernels.lstmCellF16, kernels.lstmCellTexelsF16, 4],
  [kernels.lstmProjectionF16, kernels.lstmProjectionTexelsF16, 4],
  [kernels.lstmCellGradientF16, kernels.lstmCellGradientTexelsF16, 4],
] as const;
const CASES = [
  ...PAIRS.map((pair) => ({ pair, f16: pair.f16, own: pair.overrides })),
  ...TEXELS.flatMap(([plain, f16, tile]) =>
    PAIRS.filter((pair) => pair.f16 === plain).map((pair) => ({ pair, f16, own: { ...pair.overrides, tile } })),
  ),
];

/** A matrix as a texture; on the way back its rows are what is summed over. */
function textureOf(weight: Floats, isBackward: boolean) {
  const across = isBackward ? OUTPUTS : INPUTS;
  return { texels: weight, format: 'rgba32float' as const, size: [across, weight.length / 4 / across] as const };
}

it.each(CASES)('$f16.name does what $pair.f32.name does', async ({ pair, f16, own }) => {
  const { f32, sizes, kept, written, workgroups, overrides } = pair;
  const values = new Map(
    Object.entries(sizes).map(([name, floats], i): [string, Floats] => {
      const drawn = randoms(floats, i + 1);
      return [name, kept.includes(name) ? rounded(drawn) : drawn];
    }),
  );
  // In f32 it takes the place of the gates, of which some stay.
  values.set('dz', values.get('gates') ?? poison(4));
  const uniforms = { step: words(LANES, FRAMES), ...('at' in f32.bindings && { at: words(1, 1) }) };
  const buffersOf = (source: KernelSource, given: (name: string, own: Floats) => Given) => {
    const bound = [...values].filter(([name]) => name in source.bindings);
    return { ...uniforms, ...Object.fromEntries(bound.map(([name, each]) => [name, given(name, each)])) };
  };
  const reference = await runOnGpu(f32, {
    ...{ name: f32.name, workgroups, overrides, buffers: buffersOf(f32, (_, each) => each) },
    expected: Object.fromEntries(Object.values(written).map((name) => [name, new Float64Array(sizes[name])])),
  });
  const { bindings }: KernelSource = f16;
  const isTexture = (name: string) => bindings[name].type === 'texture';
  const result = await runOnGpu<KernelSource>(f16, {
    ...{ name: f16.name, workgroups, overrides: own },
    buffers: buffersOf(f16, (name, each) =>
      kept.includes(name) ? packed(each) : isTexture(name) ? textureOf(each, f16.name.includes('gradient')) : each,
    ),
    expected: Object.fromEntries(
      Object.keys(written).map((name) => [name, new Float64Array(sizes[name] / (kept.includes(name) ? 2 : 1))]),
    ),
  });
  for (const [name, other] of Object.entries(written)) {
    const [read, tolerance] = kept.includes(name)
      ? [unpacked(result[name]), HALF_TOLERANCE]
      : [result[name], KERNEL_TOLERANCE];
    expect(read.some((value) => value !== 0)).toBe(true);
    expectClose(read, Float64Array.from(reference[other]), tolerance, name);
  }
});

it('keeps what comes in', async () => {
  const x = randoms(wide, 1, 70);
  const { y } = await runOnGpu(kernels.keepF16, {
    ...{ name: 'keep', overrides: row, workgroups: byRow.workgroups },
    buffers: { x, y: new Uint32Array(wide / 2), step: words(LANES, FRAMES) },
    expected: { y: new Float64Array(wide / 2) },
  });
  expectClose(unpacked(y), Float64Array.from(x), HALF_TOLERANCE, 'y');
});
