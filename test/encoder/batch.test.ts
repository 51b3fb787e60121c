import { describe, expect, it, vi } from 'vitest';
import { findBatchSize, runBatch } from '../../src/encoder/batch.ts';
import { clockTick } from '../../src/encoder/clock.ts';
import type { Encoder, StepInput } from '../../src/encoder/encoder.ts';
import { RillError } from '../../src/errors.ts';
import type { WebGpuEncoder } from '../../src/webgpu/encoder.ts';

interface FakeOptions {
  freeLanes?: number;
  /** Milliseconds that a step takes. */
  stepMs?: (lanes: number) => number;
  /** States there is memory for. */
  room?: number;
}

/** An encoder whose states hold what was written into them, plus the frames that they were stepped. */
function fakeEncoder({ freeLanes = 64, stepMs = () => 0, room = Infinity }: FakeOptions = {}) {
  const lanes: number[] = [];
  let open = 0;
  let underWay = 0;
  let queue: Promise<unknown> = Promise.resolve();
  const createState = () => {
    if (open >= room) {
      throw new RillError('gpu', { got: 'no memory', expected: 'memory', remedy: 'Close a stream.' });
    }
    open++;
    let h = 0;
    let started = false;
    return {
      reset: () => {
        h = 0;
        started = false;
      },
      write: (values: { h: Float32Array }) => ([h] = values.h),
      read: async () => ({ h: Float32Array.of(h), c: new Float32Array(0) }),
      dispose: () => open--,
      advance: (rows: number) => {
        const frames = Math.floor((rows - (started ? 0 : 5)) / 4);
        started = true;
        h += frames;
        return frames;
      },
    };
  };
  const step = async (inputs: StepInput[]) => {
    lanes.push(inputs.length);
    expect(++underWay).toBeLessThanOrEqual(2);
    const results = inputs.map(({ state, features }) => {
      return { frames: (state as unknown as ReturnType<typeof createState>).advance(features.length) };
    });
    // One after the other, as on a GPU.
    queue = queue.then(() => new Promise((resolve) => setTimeout(resolve, stepMs(inputs.length))));
    await queue;
    underWay--;
    return results;
  };
  const memoryFor = (more: number) => 100 * more;
  const sizes = { numFeatures: 1, numEncoderLayers: 1, dModel: 1, rnnHiddenSize: 0 };
  const encoder = { sizes, capacity: { maxFrames: 16 }, freeLanes, createState, step, memoryFor };
  return { encoder: encoder as unknown as WebGpuEncoder, lanes, open: () => open };
}

describe('runBatch', () => {
  it('hands out results in the order of its steps, with one under way beside the one that is read', async () => {
    let steps = 0;
    // Each comes back the later the earlier it was submitted.
    const { encoder } = fakeEncoder({ stepMs: () => 40 / ++steps });
    const at: number[] = [];
    const take = (_: number, frame: number) => at.push(frame);
    await runBatch(encoder, new Float32Array(4 * 40 + 5), [4 * 40 + 5], { chunkFrames: 10 }, [], take);
    expect(at).toEqual([0, 10, 20, 30]);
  });

  it('starts with few lanes side by side, however many there are, and doubles them at most', async () => {
    const { encoder, lanes } = fakeEncoder({ freeLanes: 400 });
    await runBatch(encoder, new Float32Array(400 * 9), Array<number>(400).fill(9), {}, [], () => undefined);
    expect(lanes[0]).toBe(16);
    for (let i = 2; i < lanes.length; i++) {
      expect(lanes[i]).toBeLessThanOrEqual(2 * lanes[i - 1]);
    }
    expect(lanes.reduce((sum, each) => sum + each, 0)).toBe(400);
  });

  it('gives each utterance its own states, in groups where they are more than slots, and gives the slots back', async () => {
    const { encoder, open } = fakeEncoder({ freeLanes: 2, room: 2 });
    const lengths = [9, 17, 13, 9, 25];
    const initial = lengths.map((_, i) => ({ h: Float32Array.of(100 * i), c: new Float32Array(0) }));
    const onStep = vi.fn();
    const run = (states?: typeof initial) =>
      runBatch(encoder, new Float32Array(5 * 25), lengths, { states, onStep }, [], () => undefined);
    expect((await run(initial)).map(({ h }) => h[0])).toEqual([1, 103, 202, 301, 405]);
    expect((await run()).map(({ h }) => h[0])).toEqual([1, 3, 2, 1, 5]);
    expect(open()).toBe(0);
    expect(onStep).toHaveBeenLastCalledWith(12, 12);
    expect(onStep.mock.calls[0][0]).toBeLessThan(12);
  });
});

describe('a step of a batch', () => {
  it('stays below a second, however many lanes there are', async () => {
    vi.useFakeTimers();
    const stepMs = (lanes: number) => 100 * lanes;
    const { encoder, lanes } = fakeEncoder({ freeLanes: 64, stepMs });
    // Sixty utterances of one encoder frame: nothing else decides how many go side by side.
    const running = runBatch(encoder, new Float32Array(60 * 9), Array<number>(60).fill(9), {}, [], () => undefined);
    await vi.runAllTimersAsync();
    await running;
    vi.useRealTimers();
    expect(lanes[0]).toBe(16);
    expect(Math.max(...lanes.slice(2))).toBeLessThanOrEqual(10);
    expect(lanes.reduce((sum, each) => sum + each, 0)).toBe(60);
  });

  it('is over before its slots are given back, also after a failure', async () => {
    const { encoder, open } = fakeEncoder({ freeLanes: 2, stepMs: () => 20 });
    const steps: Promise<unknown>[] = [];
    const step = encoder.step.bind(encoder);
    let ended = 0;
    vi.spyOn(encoder, 'step').mockImplementation((inputs, read) => {
      const stepping = step(inputs, read).finally(() => {
        ended++;
        expect(open()).toBe(2);
      });
      steps.push(stepping);
      return stepping;
    });
    const fail = () => {
      throw new Error('mine');
    };
    const running = runBatch(encoder, new Float32Array(2 * 405), [405, 405], { chunkFrames: 10 }, [], fail);
    await expect(running).rejects.toThrow('mine');
    expect(ended).toBe(steps.length);
    expect(open()).toBe(0);
  });
});

describe('findBatchSize', () => {
  /** By a clock that stands still but for the steps: a busy machine would make any of them the slower one. */
  async function found(encoder: Encoder, memoryBytes: number): Promise<number> {
    // Read off the real clock, once.
    clockTick();
    vi.useFakeTimers();
    const finding = findBatchSize(encoder, { memoryBytes });
    await vi.runAllTimersAsync();
    vi.useRealTimers();
    return finding;
  }

  it('takes as many lanes as take no longer than one', async () => {
    const { encoder, open } = fakeEncoder({ freeLanes: 8, stepMs: () => 20 });
    expect(await found(encoder, 1e9)).toBe(8);
    expect(await found(encoder, 450)).toBe(4);
    expect(open()).toBe(0);
  });

  it('takes one where more take as much longer', async () => {
    const { encoder } = fakeEncoder({ freeLanes: 8, stepMs: (lanes) => 20 * lanes });
    expect(await found(encoder, 1e9)).toBe(1);
  });

  it('is content with what the device has memory for', async () => {
    const { encoder, open } = fakeEncoder({ freeLanes: 8, stepMs: () => 20, room: 4 });
    expect(await found(encoder, 1e9)).toBe(4);
    expect(open()).toBe(0);
  });
});
