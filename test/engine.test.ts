import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { isSupported, engineFor, openEngine, type DeviceName } from '../src/engine.ts';
import { openModel, type Model } from '../src/model/model.ts';
import type { GpuContext } from '../src/webgpu/device/context.ts';
import type { KernelStore } from '../src/webgpu/device/kernel-store.ts';
import { WebGpuEncoder } from '../src/webgpu/encoder.ts';
import { createNodeContext } from '../tools/runtime/node-gpu.ts';
import { stubPageGpu } from './support/engines.ts';
import { failure } from './support/failure.ts';
import { wakeWordsModel } from './support/fixtures.ts';

const kernels = { matrices: 'plain', convolutions: 'plain' } as const;

let context: GpuContext;
let model: Model;

beforeAll(async () => {
  context = await createNodeContext();
  model = openModel(await wakeWordsModel());
});
afterAll(() => {
  context.dispose();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A store that is empty at first, and what it was given. */
function memoryStore(): KernelStore & { kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    get: async (key) => kept.get(key),
    set: async (key, value) => {
      kept.set(key, value);
    },
  };
}

describe('auto', () => {
  it.each([
    ['without WebGPU', {}, 'no WebGPU'],
    ['without an adapter', { gpu: { requestAdapter: async () => null } }, 'no GPU adapter'],
  ])('is the CPU %s', async (_, navigator, reason) => {
    vi.stubGlobal('navigator', navigator);
    const { engine, isOwn } = await engineFor();
    expect(engine.device).toMatchObject({ kind: 'cpu', reason: expect.stringContaining(reason) as string });
    expect(isOwn).toBe(true);
    engine.dispose();
  });

  it.each([{ isFallbackAdapter: true }, { description: 'llvmpipe (LLVM 19)' }, { description: 'SwiftShader driver' }])(
    'is the CPU where the adapter is software: %o',
    async (info) => {
      stubPageGpu(context, info);
      const engine = await openEngine();
      expect(engine.device).toMatchObject({ kind: 'cpu', reason: expect.stringContaining('software') as string });
      engine.dispose();
    },
  );

  it('holds a GPU against the CPU, takes the faster, says why, and keeps the choice', async () => {
    stubPageGpu(context, { description: 'a GPU' });
    const kernelStore = memoryStore();
    const engine = await openEngine({ kernels, kernelStore });
    const settled = vi.spyOn(WebGpuEncoder.prototype, 'settledKernels');
    const encoder = await engine.createEncoder(model, { maxStreams: 1, maxFrames: 4 });
    expect(engine.device.kind).toBe('cpu');
    // A GPU that seems slower is given its fastest kernels before it is left.
    expect(settled).toHaveBeenCalledOnce();
    expect(engine.device.reason).toMatch(/^a chunk takes [\d.]+ ms on the GPU, [\d.]+ ms on the CPU$/);
    encoder.dispose();
    engine.dispose();
    expect([...kernelStore.kept.values()]).toEqual(['"cpu"']);

    // As if another machine's figures had been kept: nothing is measured again.
    const [key] = kernelStore.kept.keys();
    kernelStore.kept.set(key, '"webgpu"');
    const again = await openEngine({ kernels, kernelStore });
    const onGpu = await again.createEncoder(model, { maxStreams: 1, maxFrames: 4 });
    expect(again.device).toMatchObject({ kind: 'webgpu', reason: expect.stringContaining('before') as string });
    onGpu.dispose();
    again.dispose();
  });

  it('is the CPU where the GPU cannot run the model', async () => {
    stubPageGpu(context, { description: 'a GPU' });
    const engine = await openEngine({ kernels: { matrices: 'texels', convolutions: 'texels' } });
    vi.spyOn(GPUDevice.prototype, 'createComputePipelineAsync').mockRejectedValue(new Error('no'));
    const encoder = await engine.createEncoder(model, { maxStreams: 1, maxFrames: 4 });
    expect(engine.device).toMatchObject({ kind: 'cpu', reason: expect.stringContaining('could not') as string });
    encoder.dispose();
    engine.dispose();
  });
});

it('cpu never asks for an adapter', async () => {
  const requestAdapter = vi.fn();
  vi.stubGlobal('navigator', { gpu: { requestAdapter } });
  const engine = await openEngine({ device: 'cpu' });
  const encoder = await engine.createEncoder(model);
  expect(engine.device.kind).toBe('cpu');
  expect(await isSupported('cpu')).toBe(true);
  expect(requestAdapter).not.toHaveBeenCalled();
  encoder.dispose();
  engine.dispose();
});

it('webgpu is refused where there is none, and does not fall back', async () => {
  vi.stubGlobal('navigator', {});
  await failure('no-webgpu', () => openEngine({ device: 'webgpu' }));
  expect(await isSupported('webgpu')).toBe(false);
  expect(await isSupported()).toBe(true);
});

it('what is no device is refused, with those that there are', async () => {
  for (const device of ['gpu', 5, null, {}] as unknown as DeviceName[]) {
    expect(await failure('bad-argument', () => openEngine({ device }))).toContain('auto, webgpu, cpu');
  }
});

it('a device that is handed in stays open', async () => {
  const { engine, isOwn } = await engineFor({ device: context.device });
  expect(engine.device).toMatchObject({ kind: 'webgpu', reason: 'handed in' });
  expect(isOwn).toBe(false);
});
