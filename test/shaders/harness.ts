import { beforeAll, describe, expect, it, vi } from 'vitest';
import { detectRaces } from 'wgsl_reflect/wgsl_reflect.module.js';
import { BufferScope, type GpuContext } from '../../src/webgpu/device/context.ts';
import { partSizes, type ResourceNames, type SizeNames } from '../../src/training/kernel-sizes.ts';
import { Kernel, type KernelSource, type Workgroups } from '../../src/webgpu/device/kernel.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectClose, expectSameBytes, type Tolerance } from '../support/close.ts';
import type { Texels } from '../support/packed.ts';

/**
 * A dozen or two float32 operations away from float64: sums of up to a few hundred products of magnitude one,
 * and exp as loose as WGSL allows it (3 + 2|x| ulp).
 */
export const KERNEL_TOLERANCE: Tolerance = { absolute: 4e-6, relative: 4e-6 };

type Values = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** What a binding is given: elements, or texels. */
type Given = Values | Texels;

/** A kernel with its inputs, and what its float64 twin makes of them. */
export interface KernelCase<Source extends KernelSource> {
  name: string;
  /** And what its block of sizes has, if it is one of training's that has one. */
  overrides: Readonly<Record<SizeNames<Source>, number>>;
  /** A value for each other binding; outputs poisoned, uniforms as their words. */
  buffers: Readonly<Record<ResourceNames<Source>, Given>>;
  workgroups: Workgroups;
  /** Each output by name; NaN where the poison must have stayed. */
  expected: Readonly<Record<string, Float64Array>>;
}

let context: Promise<GpuContext> | undefined;
const openContext = () => (context ??= createNodeContext());

/** A kernel's outputs, for one case. */
export async function runOnGpu<Source extends KernelSource>(
  source: Source,
  { overrides, buffers, workgroups, expected }: KernelCase<Source>,
) {
  const gpu = await openContext();
  const scope = new BufferScope(gpu);
  const { overrides: constants, words: sizes } = partSizes(source, overrides);
  const kernel = await Kernel.create<KernelSource>(gpu, source, constants);
  const created: Record<string, GPUBuffer> = {};
  const textures: Record<string, GPUTexture> = {};
  for (const [name, values] of Object.entries<Given>({ ...buffers, ...(sizes && { sizes }) })) {
    if ('texels' in values) {
      const { texels, format, size } = values;
      const texture = scope.createTexture('activations', name, texels.byteLength, format, size);
      gpu.device.queue.writeTexture({ texture }, texels, { bytesPerRow: texels.byteLength / size[1] }, size);
      textures[name] = texture;
      continue;
    }
    const uniform = source.bindings[name].type === 'uniform';
    const usage = uniform ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    created[name] = scope.createBuffer('activations', name, values.byteLength, usage | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(created[name], 0, values);
  }
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  kernel.bind({ ...created, ...textures }).dispatch(pass, workgroups);
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
  const outputs: Record<string, Float32Array> = {};
  for (const [name, values] of Object.entries(expected)) {
    const read = await readBuffers(gpu, [{ buffer: created[name], bytes: 4 * values.length }]);
    const given = buffers[name as keyof typeof buffers];
    outputs[name] = given instanceof Int32Array ? Float32Array.from(new Int32Array(read.buffer)) : read;
  }
  gpu.check();
  scope.dispose();
  return outputs;
}

/** The races that the detector finds, what it did not understand, and what it has left in the buffers. */
function findRaces<Source extends KernelSource>(
  source: Source,
  { overrides, buffers, workgroups }: KernelCase<Source>,
) {
  const groups: Record<string, Record<string, unknown>> = {};
  const left: Record<string, Values> = {};
  const { overrides: constants, words: sizes } = partSizes(source, overrides);
  const all: Readonly<Record<string, Given>> = { ...buffers, ...(sizes && { sizes }) };
  for (const [name, { group, binding, type }] of Object.entries(source.bindings)) {
    if (type === 'sampler') {
      continue;
    }
    const given = all[name];
    const values: Values = 'texels' in given ? new Float32Array(4 * given.size[0] * given.size[1]) : given.slice();
    left[name] = values;
    (groups[group] ??= {})[binding] = type === 'uniform' ? { uniform: values } : values;
  }
  // What it does not understand it writes to the console, and goes on without.
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const code = forRaceDetector(source.code);
  const { races, errors } = detectRaces(code, 'main', [...workgroups], groups, { constants });
  const notUnderstood = complaints.mock.calls.map(String);
  complaints.mockRestore();
  return { races: races.map(({ message }) => message), errors: [...errors, ...notUnderstood], left };
}

/** Indices of what nobody has written to. */
const poisoned = (values: ArrayLike<number>): number[] =>
  Array.from(values, (value, i) => (Number.isNaN(value) ? i : -1)).filter((i) => i >= 0);

/**
 * A shader in what the race detector knows: a buffer for a texture, and each invocation's own value for what a quad
 * shares. Neither is written to, so that no race comes or goes by it. `a += b` is written out, for matrices.
 */
const forRaceDetector = (code: string) =>
  code
    .replace('enable subgroups;', '')
    .replace('subgroup_invocation_id', 'local_invocation_index')
    .replace(
      /var (\w+): texture_2d<f32>;/,
      'var<storage, read> $1: array<vec4f>;\n' +
        'fn sampled(place: vec2f) -> vec4f { return $1[u32(min(place.x * place.y, 1.0) * f32(arrayLength(&$1) - 1u))]; }',
    )
    .replace(/@group\(0\) @binding\(\d+\) var nearest: sampler;/, '')
    .replace(/textureDimensions\(\w+\)/g, 'vec2u(8192u, 8192u)')
    .replace(/textureSampleLevel\(\w+, nearest, (.*), 0\.0\)/g, 'sampled($1)')
    .replace(/quadBroadcast\((.*?), \du\)/g, '$1')
    .replace(/^( *)(.+) \+= (.+);$/gm, '$1$2 = $2 + $3;')
    .replace(/quadSwap[XY]\((.*?)\)/g, '$1');

/** The first case of each tile: the smallest. */
const firstOfEachTile = <Case extends KernelCase<KernelSource>>(cases: readonly Case[]): Case[] =>
  cases.filter(({ overrides }, i) => i === cases.findIndex((other) => other.overrides.tile === overrides.tile));

/**
 * Each case on the GPU against its twin.
 *
 * @param cases the smallest first
 * @param raced go through the race detector, which takes its time; the first case of each tile by default
 */
export function describeKernel<const Source extends KernelSource>(
  source: Source,
  cases: readonly KernelCase<Source>[],
  { tolerance = KERNEL_TOLERANCE, raced = firstOfEachTile(cases) }: KernelChecks<Source> = {},
): void {
  describe(source.name, () => {
    it.each(cases)('equals its float64 twin: $name', async (each) => {
      const outputs = await runOnGpu(source, each);
      for (const [name, expected] of Object.entries(each.expected)) {
        expectClose(outputs[name], expected, tolerance, name);
      }
    });

    it.each(raced)('has no data race: $name', (each) => {
      const { races, errors, left } = findRaces(source, each);
      expect(races).toEqual([]);
      expect(errors).toEqual([]);
      // A write that escapes the detector, it does not compare with others.
      for (const [name, expected] of Object.entries(each.expected)) {
        expect(poisoned(left[name]), `what is left of the poison in ${name}`).toEqual(poisoned(expected));
      }
    });
  });
}

export interface KernelChecks<Source extends KernelSource> {
  tolerance?: Tolerance;
  raced?: readonly KernelCase<Source>[];
}

/** Kernels of other methods leave the same bytes behind as the plain one, with any tile. */
export function describeSameBytes<const Source extends KernelSource>(
  [plain, plainCase]: readonly [Source, KernelCase<Source>],
  others: readonly (readonly [KernelSource, readonly KernelCase<KernelSource>[]])[],
): void {
  const cases = others.flatMap(([source, own]) =>
    own.map((each) => ({ source, each, title: `${source.name}, ${each.name}` })),
  );
  describe(`the same bytes as by ${plain.name}`, () => {
    let expected: Record<string, Float32Array>;

    beforeAll(async () => {
      expected = await runOnGpu(plain, plainCase);
    });

    it.each(cases)('$title', async ({ source, each }) => {
      const outputs = await runOnGpu(source, each);
      for (const [name, values] of Object.entries(expected)) {
        expectSameBytes(outputs[name], values, name);
      }
    });
  });
}

export const ceilDiv = (a: number, b: number) => Math.ceil(a / b);
export const padded = (n: number) => 4 * ceilDiv(n, 4);
export const words = (...values: number[]) => Uint32Array.from(values);
