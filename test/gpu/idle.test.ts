import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { IdleTime } from '../../src/webgpu/device/idle.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that ends when it is told to. */
function work(idle: IdleTime): () => Promise<void> {
  let end: () => void = () => undefined;
  const running = idle.during(() => new Promise<void>((resolve) => (end = resolve)));
  return async () => {
    end();
    await running;
  };
}

it('a moment comes at once where nothing was asked for, else when nothing has been for a while', async () => {
  const idle = new IdleTime();
  const { signal } = new AbortController();
  const came = vi.fn();
  void idle.moment(signal).then(came);
  await vi.advanceTimersByTimeAsync(0);
  expect(came).toHaveBeenCalledTimes(1);

  const end = work(idle);
  void idle.moment(signal).then(came);
  await vi.advanceTimersByTimeAsync(5000);
  expect(came).toHaveBeenCalledTimes(1);
  await end();
  await vi.advanceTimersByTimeAsync(150);
  // Other work in between starts the time anew.
  await work(idle)();
  await vi.advanceTimersByTimeAsync(199);
  expect(came).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(came).toHaveBeenCalledTimes(2);
  expect(idle.begun).toBe(2);
});

it('a moment is waited for no longer than until the signal, and leaves no timer', async () => {
  const idle = new IdleTime();
  const controller = new AbortController();
  const end = work(idle);
  const refused = expect(idle.moment(controller.signal)).rejects.toThrow('over');
  controller.abort(new Error('over'));
  await refused;
  expect(vi.getTimerCount()).toBe(0);
  await end();
});

it('one piece of work at a time, also after one that failed', async () => {
  const idle = new IdleTime();
  const order: string[] = [];
  const first = idle.alone(async () => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    order.push('first');
    throw new Error('failed');
  });
  const second = idle.alone(async () => order.push('second'));
  const failed = expect(first).rejects.toThrow('failed');
  await vi.advanceTimersByTimeAsync(10);
  await failed;
  await second;
  expect(order).toEqual(['first', 'second']);
});
