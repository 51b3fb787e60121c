import { afterEach, expect, it, vi } from 'vitest';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { openModel } from '../../src/model/model.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { wakeWordsModel } from '../support/fixtures.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('loading that is cancelled late leaves nothing on a device that was handed in', async () => {
  const context = await createNodeContext();
  const model = openModel(await wakeWordsModel());
  const options = { device: context.device, kernels: { matrices: 'plain', convolutions: 'plain' } } as const;
  const cancel = new AbortController();
  const create = context.device.createComputePipelineAsync.bind(context.device);
  vi.spyOn(context.device, 'createComputePipelineAsync').mockImplementation((descriptor) => {
    cancel.abort(new Error('changed my mind'));
    return create(descriptor);
  });
  const loading = OnlineRecognizer.load(model, { ...options, signal: cancel.signal });
  await expect(loading).rejects.toThrow('changed my mind');
  // What was being made then is disposed of as soon as it is there.
  await vi.waitFor(() => {
    expect(context.resources).toBe(0);
  }, 10_000);
  expect([...context.memory.values()].every((bytes) => bytes === 0)).toBe(true);
});

it('listens once to a device that is handed in again and again', async () => {
  const { device } = await createNodeContext();
  const model = openModel(await wakeWordsModel());
  const listening = vi.spyOn(device, 'addEventListener');
  for (let i = 0; i < 2; i++) {
    const kernels = { matrices: 'plain', convolutions: 'plain' } as const;
    (await OnlineRecognizer.load(model, { device, kernels })).dispose();
  }
  expect(listening).toHaveBeenCalledTimes(1);
});
