import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/encoder/engine.ts';
import type { DeviceName } from '../../../src/engine.ts';
import { openNodeEngine } from '../../../src/node/engine.ts';
import { teachPhrase } from '../../../src/training/teach/teach.ts';
import { gpuOf } from '../../../src/gpu-of.ts';
import { expectClose } from '../../support/close.ts';
import { tinyLesson } from '../../support/teach.ts';

const lesson = { ...tinyLesson, openEngine: () => openNodeEngine({ device: 'webgpu' }), steps: 30 };

/** Adam moves weights whose gradients are rounding noise by the whole rate, and the pool comes from two engines. */
const LESSON_TOLERANCE = { absolute: 0, relative: 1e-3 };

describe('teachPhrase', () => {
  it('learns the same on a GPU and on the CPU', async () => {
    const lossesOn = async (device: DeviceName) => {
      const losses: number[] = [];
      await teachPhrase({
        ...{ ...tinyLesson, openEngine: () => openNodeEngine({ device }) },
        onProgress: (event) => event.stage === 'train' && losses.push(event.loss),
      });
      return losses;
    };
    const [onGpu, onCpu] = [await lossesOn('webgpu'), await lossesOn('cpu')];
    expectClose(onCpu, onGpu, LESSON_TOLERANCE, 'losses');
  });

  it('goes on when its device is lost, to the same bytes, and learns', async () => {
    const losses: number[] = [];
    const whole = await teachPhrase({
      ...lesson,
      onProgress: (event) => event.stage === 'train' && losses.push(event.loss),
    });
    expect(Math.min(...losses)).toBeLessThan(losses[0] / 2);

    let opened: Engine | undefined;
    const resumed: number[] = [];
    const interrupted = await teachPhrase({
      ...lesson,
      openEngine: async () => (opened = await openNodeEngine({ device: 'webgpu' })),
      onProgress: ({ stage, done }) => {
        if (stage === 'resume') {
          resumed.push(done);
        } else if (stage === 'train' && done === 28 && opened && resumed.length === 0) {
          gpuOf(opened).device.destroy();
        }
      },
    });
    expect(resumed).toEqual([25]);
    expect(interrupted['model.safetensors']).toEqual(whole['model.safetensors']);
  });
});
