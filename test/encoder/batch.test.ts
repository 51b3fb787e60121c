import { expect, it } from 'vitest';
import { runBatch } from '../../src/encoder/batch.ts';
import type { RnnEncoder, StepInput } from '../../src/encoder/encoder.ts';

/** An encoder whose steps come back the later the earlier they were submitted. */
function lateEncoder(): { encoder: RnnEncoder; lanes: number[] } {
  const lanes: number[] = [];
  let underWay = 0;
  const step = async (inputs: StepInput[]) => {
    lanes.push(inputs.length);
    expect(++underWay).toBeLessThanOrEqual(2);
    await new Promise((resolve) => setTimeout(resolve, 40 / lanes.length));
    underWay--;
    return inputs.map(({ features }) => ({ frames: Math.floor((features.length - (lanes.length === 1 ? 5 : 0)) / 4) }));
  };
  const createState = () => ({ read: async () => ({}), dispose: () => undefined });
  const encoder = { sizes: { numFeatures: 1 }, capacity: { maxFrames: 16 }, freeLanes: 64, createState, step };
  return { encoder: encoder as unknown as RnnEncoder, lanes };
}

it('hands out the results of a batch in the order of its steps, with one under way beside the one that is read', async () => {
  const { encoder } = lateEncoder();
  const at: number[] = [];
  const take = (_: number, frame: number) => at.push(frame);
  await runBatch(encoder, new Float32Array(4 * 40 + 5), [4 * 40 + 5], { chunkFrames: 10 }, [], take);
  expect(at).toEqual([0, 10, 20, 30]);
});

it('starts with few lanes side by side, however many there are', async () => {
  const { encoder, lanes } = lateEncoder();
  const lengths = Array<number>(64).fill(9);
  await runBatch(encoder, new Float32Array(64 * 9), lengths, {}, [], () => undefined);
  expect(lanes[0]).toBe(16);
  expect(lanes.reduce((sum, each) => sum + each, 0)).toBe(64);
});
