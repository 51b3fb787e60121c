import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GpuContext } from '../../src/webgpu/device/context.ts';

/** How often the pretended browser looks for finished work by itself. */
const POLL_MS = 100;

/** A device whose work takes a time, and that tells of finished work when it looks: seldom, or at once. */
function pretendedDevice({ seldom }: { seldom: boolean }) {
  const waiting: { doneAt: number; tell: () => void }[] = [];
  const look = () => {
    const now = performance.now();
    for (const each of waiting.splice(0)) {
      if (each.doneAt <= now) {
        each.tell();
      } else {
        waiting.push(each);
      }
    }
  };
  const timer = setInterval(look, seldom ? POLL_MS : 1);
  const work = (ms: number) =>
    new Promise<undefined>((resolve) => {
      waiting.push({ doneAt: performance.now() + ms, tell: () => resolve(undefined) });
    });
  const submit = vi.fn<(buffers: readonly unknown[]) => void>(look);
  const queue = { submit, onSubmittedWorkDone: () => work(0) };
  const device = { queue, lost: new Promise(() => undefined), addEventListener: () => undefined };
  return {
    context: new GpuContext(device as unknown as GPUDevice, {}),
    work,
    submit,
    stop: () => {
      clearInterval(timer);
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Milliseconds until a promise resolves. */
async function timeOf(promise: Promise<unknown>): Promise<number> {
  const start = performance.now();
  const took = promise.then(() => performance.now() - start);
  await vi.advanceTimersByTimeAsync(10 * POLL_MS);
  return took;
}

it('asks for the fast adapter, for what kernels make use of, and for what is wanted besides, where it has that', async () => {
  const device = {
    queue: { submit: () => undefined, onSubmittedWorkDone: async () => undefined },
    lost: new Promise(() => undefined),
    addEventListener: () => undefined,
  };
  const requestDevice = vi.fn(async () => device);
  const features = new Set(['shader-f16', 'subgroups', 'timestamp-query', 'bgra8unorm-storage']);
  const requestAdapter = vi.fn(async () => ({ features, info: {}, requestDevice }));
  const gpu = { requestAdapter } as unknown as GPU;
  await GpuContext.create(gpu, { optionalFeatures: ['timestamp-query', 'float32-filterable'] });
  expect(requestAdapter).toHaveBeenCalledWith({ powerPreference: 'high-performance' });
  expect(requestDevice).toHaveBeenCalledWith({ requiredFeatures: ['subgroups', 'timestamp-query'] });
});

describe('waiting for a device', () => {
  it('that looks for finished work only every 100 ms is helped by submitting nothing', async () => {
    const { context, work, submit, stop } = pretendedDevice({ seldom: true });
    expect(await timeOf(context.until(work(8)))).toBe(POLL_MS);
    await timeOf(context.reportsLate());
    expect(await context.reportsLate()).toBe(true);
    submit.mockClear();
    expect(await timeOf(context.until(work(8)))).toBeLessThan(15);
    expect(submit.mock.calls.every(([buffers]) => buffers.length === 0)).toBe(true);
    const { length } = submit.mock.calls;
    await vi.advanceTimersByTimeAsync(POLL_MS);
    expect(submit.mock.calls).toHaveLength(length);
    await expect(context.until(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
    await vi.advanceTimersByTimeAsync(POLL_MS);
    expect(submit.mock.calls).toHaveLength(length);
    stop();
  });

  it('that tells at once is left alone', async () => {
    const { context, work, submit, stop } = pretendedDevice({ seldom: false });
    await timeOf(context.reportsLate());
    expect(await context.reportsLate()).toBe(false);
    submit.mockClear();
    expect(await timeOf(context.until(work(8)))).toBeLessThan(15);
    expect(submit).not.toHaveBeenCalled();
    stop();
  });
});
