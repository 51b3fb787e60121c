import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { GpuContext } from '../../src/gpu/context.ts';
import { ReadbackRing } from '../../src/gpu/readback.ts';
import { failure } from '../support/failure.ts';

/** A device that makes buffers of up to 248 bytes, as far as the ring uses one. */
const context = {
  device: {
    limits: { maxBufferSize: 248 },
    createBuffer: ({ size }: { size: number }) => ({ size, destroy: () => undefined }),
  },
  memory: new Map<string, number>(),
  buffers: 0,
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
  expect(ring.reserve(place, 100).size).toBe(100);
  expect(ring.reserve(place, 60).size).toBe(100);
  expect(ring.reserve(place, 101).size).toBe(200);
  expect(ring.reserve(place, 240).size).toBe(248);
  expect(await failure('bad-argument', () => ring.reserve(place, 251))).toContain('251 bytes of outputs');
});
