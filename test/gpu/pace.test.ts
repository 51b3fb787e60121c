import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Pace } from '../../src/webgpu/device/pace.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Milliseconds that a pause lasts. */
async function pauseOf(pace: Pace, lanes: number): Promise<number> {
  const start = performance.now();
  const due = pace.untilDue(lanes, 1);
  let end = start;
  void due.then(() => (end = performance.now()));
  await vi.runAllTimersAsync();
  await due;
  return end - start;
}

it('does not pause before it knows how long a step takes, nor for a short one', async () => {
  const pace = new Pace();
  expect(await pauseOf(pace, 4)).toBe(0);
  pace.learn(4, 1, 900, 900);
  expect(await pauseOf(pace, 4)).toBe(0);
  pace.learn(4, 1, 2, 2);
  expect(await pauseOf(pace, 4)).toBe(0);
});

it('waits out most of what a step of the same size took', async () => {
  const pace = new Pace();
  // What the first step takes is not learnt.
  pace.learn(4, 1, 900, 900);
  pace.learn(4, 1, 100, 100);
  expect(await pauseOf(pace, 4)).toBe(85);
  vi.advanceTimersByTime(1000);
  expect(await pauseOf(pace, 8)).toBe(0);
});

it('waits for the steps before it, too', async () => {
  const pace = new Pace();
  // What the first step takes is not learnt.
  pace.learn(4, 1, 900, 900);
  pace.learn(4, 1, 100, 100);
  const first = pace.untilDue(4, 1);
  expect(await pauseOf(pace, 4)).toBe(185);
  await first;
});

it('comes to steps that have become faster, and not at once to a disturbed one', async () => {
  const pace = new Pace();
  // What the first step takes is not learnt.
  pace.learn(4, 1, 900, 900);
  pace.learn(4, 1, 100, 100);
  pace.learn(4, 1, 1000, 900);
  vi.advanceTimersByTime(1000);
  expect(await pauseOf(pace, 4)).toBe(106);
  for (let step = 0; step < 12; step++) {
    vi.advanceTimersByTime(1000);
    // The work itself takes 10 ms: after a longer pause the result is there at once.
    const pause = await pauseOf(pace, 4);
    pace.learn(4, 1, Math.max(10, pause), Math.max(0, 10 - pause));
  }
  vi.advanceTimersByTime(1000);
  expect(await pauseOf(pace, 4)).toBeLessThan(10);
});
