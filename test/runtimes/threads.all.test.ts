import { expect, it } from 'vitest';
import { openRuntime } from '../../tools/runtime/runtime.ts';
import { expectSameBytes } from '../support/close.ts';
import { wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

const UTTERANCES = 12;
const MEL_BINS = 80;

it('a cross-origin-isolated page has threads, whose bytes are those of one thread in Node', async () => {
  const rows = 4 * 20 + 5;
  const input = {
    model: await wakeWordsModel(),
    features: randoms(UTTERANCES * rows * MEL_BINS, 1, 4),
    featureWidth: MEL_BINS,
    lengths: Array.from({ length: UTTERANCES }, (_, i) => rows - 4 * i),
    chunkFrames: 4,
  };
  const heard = [];
  for (const choice of [
    { runtime: 'node', threads: 1 },
    { runtime: 'chrome', threads: 2 },
  ] as const) {
    const runtime = await openRuntime({ ...choice, device: 'cpu' });
    try {
      expect(runtime.device.name).toContain(choice.threads === 1 ? 'one thread' : '2 threads');
      heard.push(await runtime.run('encode', input));
    } finally {
      await runtime.close();
    }
  }
  const [expected, actual] = heard;
  expectSameBytes(actual.encoderOut, expected.encoderOut, 'encoder_out');
  expectSameBytes(actual.h, expected.h, 'h');
  expectSameBytes(actual.c, expected.c, 'c');
});
