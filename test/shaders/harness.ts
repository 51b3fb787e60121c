import { describe, expect, it } from 'vitest';
import { detectRaces } from 'wgsl_reflect/wgsl_reflect.module.js';
import { BufferScope, type GpuContext } from '../../src/gpu/context.ts';
import { Kernel, type KernelSource, type Workgroups } from '../../src/gpu/kernel.ts';
import { readBuffers } from '../../src/gpu/readback.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectClose, type Tolerance } from '../support/close.ts';

/**
 * A dozen or two float32 operations away from float64: sums of up to a few hundred products of magnitude one,
 * and exp as loose as WGSL allows it (3 + 2|x| ulp).
 */
export const KERNEL_TOLERANCE: Tolerance = { absolute: 4e-6, relative: 4e-6 };

type Values = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** A kernel with its inputs, and what its float64 twin makes of them. */
export interface KernelCase<Source extends KernelSource> {
  name: string;
  overrides: Readonly<Record<Source['overrides'][number], number>>;
  /** A value for each binding; outputs poisoned, uniforms as their words. */
  buffers: Readonly<Record<keyof Source['bindings'] & string, Values>>;
  workgroups: Workgroups;
  /** Each output by name; NaN where the poison must have stayed. */
  expected: Readonly<Record<string, Float64Array>>;
}

let context: Promise<GpuContext> | undefined;
const openContext = () => (context ??= createNodeContext());

async function runOnGpu<Source extends KernelSource>(
  source: Source,
  { overrides, buffers, workgroups, expected }: KernelCase<Source>,
) {
  const gpu = await openContext();
  const scope = new BufferScope(gpu);
  const kernel = await Kernel.create(gpu, source, overrides);
  const bound: Record<string, GPUBuffer> = {};
  for (const [name, values] of Object.entries<Values>(buffers)) {
    const uniform = source.bindings[name].type === 'uniform';
    const usage = uniform ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    bound[name] = scope.createBuffer('test', name, values.byteLength, usage | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(bound[name], 0, values);
  }
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  kernel.bind(bound as Record<keyof Source['bindings'] & string, GPUBuffer>).dispatch(pass, workgroups);
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
  const outputs: Record<string, Float32Array> = {};
  for (const [name, values] of Object.entries(expected)) {
    const read = await readBuffers(gpu, [{ buffer: bound[name], bytes: 4 * values.length }]);
    outputs[name] = buffers[name] instanceof Int32Array ? Float32Array.from(new Int32Array(read.buffer)) : read;
  }
  gpu.check();
  scope.dispose();
  return outputs;
}

function findRaces<Source extends KernelSource>(
  source: Source,
  { overrides, buffers, workgroups }: KernelCase<Source>,
) {
  const groups: Record<string, Record<string, unknown>> = {};
  for (const [name, { group, binding, type }] of Object.entries(source.bindings)) {
    const values = buffers[name as keyof typeof buffers].slice();
    (groups[group] ??= {})[binding] = type === 'uniform' ? { uniform: values } : values;
  }
  return detectRaces(source.code, source.name, [...workgroups], groups, { constants: overrides });
}

/** Each case on the GPU against its twin, and through the race detector. */
export function describeKernel<const Source extends KernelSource>(
  source: Source,
  cases: readonly KernelCase<Source>[],
  tolerance: Tolerance = KERNEL_TOLERANCE,
): void {
  describe(`${source.name}.wgsl`, () => {
    it.each(cases)('equals its float64 twin: $name', async (each) => {
      const outputs = await runOnGpu(source, each);
      for (const [name, expected] of Object.entries(each.expected)) {
        expectClose(outputs[name], expected, tolerance, name);
      }
    });

    it.each(cases)('has no data race: $name', (each) => {
      const { races, errors } = findRaces(source, each);
      expect(races.map(({ message }) => message)).toEqual([]);
      expect(errors).toEqual([]);
    });
  });
}

export const ceilDiv = (a: number, b: number) => Math.ceil(a / b);
export const padded = (n: number) => 4 * ceilDiv(n, 4);
export const words = (...values: number[]) => Uint32Array.from(values);
