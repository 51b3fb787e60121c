/**
 * What a user's script may look like when its process ends: a stream is decoded without end, and in the middle of a step
 * the script does what its argument says. `waits` does nothing more and waits for a signal.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { OnlineRecognizer } from '../../src/index.ts';
import { openModelFolder, openNodeEngine } from '../../src/node/index.ts';
import { cacheStorage } from '../../src/webgpu/device/kernel-store.ts';

const [end, folder, ms] = process.argv.slice(2);
const SECOND = { samples: new Float32Array(16000), sampleRate: 16000 };

async function recognize(): Promise<OnlineRecognizer> {
  // Kernels are rehearsed only where that is what the process ends in, and then always: nothing is kept.
  const kernels = end === 'throws-early' ? 'auto' : ({ convolutions: 'plain', matrices: 'plain' } as const);
  const device = await openNodeEngine({ device: 'webgpu', kernels, kernelStore: cacheStorage });
  return OnlineRecognizer.load(await openModelFolder(folder), { device, maxStreams: 1 });
}

/** @param seconds of audio to decode */
async function decode(recognizer: OnlineRecognizer, seconds: number): Promise<void> {
  const stream = recognizer.createStream();
  for (let second = 0; second < seconds; second++) {
    stream.acceptWaveform(SECOND);
    while (recognizer.isReady(stream)) {
      await recognizer.decode(stream);
    }
  }
}

if (end === 'throws-early') {
  void recognize();
  await pause(1000 + 10 * Number(ms));
  throw new Error('the script’s own');
}
const recognizer = await recognize();
if (end === 'forgets') {
  // Nothing holds the recognizer but the step that is under way; then comes the last line.
  void decode(recognizer, 3).then(() => console.log('decoded'));
} else {
  void decode(recognizer, Infinity);
  console.log('under way');
  await pause(Number(ms));
  switch (end) {
    case 'throws':
      throw new Error('the script’s own');
    case 'rejects':
      void Promise.reject(new Error('the script’s own'));
      break;
    case 'exits':
      process.exit(0);
      break;
    case 'disposes':
      recognizer.dispose();
      process.exit(0);
  }
}
