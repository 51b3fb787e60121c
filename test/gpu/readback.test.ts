import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { ReadbackRing } from '../../src/webgpu/device/readback.ts';
import { failure } from '../support/failure.ts';

let held = 0;

/** A device that makes buffers of up to 50,000 bytes, as far as the ring uses one. */
const context = {
  device: {
    limits: { maxBufferSize: 50_000 },
    createBuffer: ({ size }: { size: number }) => ({ size, destroy: () => undefined }),
  },
  account: (_: string, __: number, bytes: number) => (held += bytes),
} as unknown as GpuContext;

beforeAll(() => {
  vi.stubGlobal('GPUBufferUsage', { MAP_READ: 1, COPY_DST: 8 });
});
afterAll(() => {
  vi.unstubAllGlobals();
});

it('a place of the ring grows by doubling, up to the largest buffer of the device and not beyond', async () => {
  const ring = new ReadbackRing(context, 1);
  const place = await ring.acquire();
  expect(ring.reserve(place, 100).size).toBe(16384);
  expect(ring.reserve(place, 16384).size).toBe(16384);
  expect(ring.reserve(place, 16388).size).toBe(32768);
  expect(ring.reserve(place, 40_000).size).toBe(50_000);
  // Of each size but the last the buffer was given back.
  expect(held).toBe(50_000);
  expect(await failure('bad-argument', () => ring.reserve(place, 50_004))).toContain('50004 bytes of outputs');
});
