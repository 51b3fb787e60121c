import { expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { HostStream } from '../../src/worker/host-stream.ts';
import type { StreamUpdate } from '../../src/worker/messages.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { wakeWordsModel } from '../support/fixtures.ts';

it('a stream that is closed while its chunk is under way brings nothing more, not even the failure of an endpoint', async () => {
  const gpu = await createNodeContext();
  // Every chunk ends a segment.
  const everywhere = { mustContainNonSilence: false, minTrailingSilence: 0, minUtteranceLength: 0 };
  const recognizer = await OnlineRecognizer.create(
    new WebGpuEngine(gpu, { kernels: { matrices: 'plain', convolutions: 'plain' } }),
    openModel(await wakeWordsModel()),
    {
      chunkFrames: 4,
      endpointRules: { rule1: everywhere },
    },
  );
  const backlogs: number[] = [];
  const listener = {
    update: ({ backlogSeconds }: StreamUpdate) => backlogs.push(backlogSeconds),
    features: () => undefined,
  };
  const [closed, open] = [1, 2].map(() => new HostStream(recognizer, {}, listener));
  const silence = { samples: new Float32Array(8000), sampleRate: 16000 };
  closed.push(silence);
  open.push(silence);
  const streams = [closed, open].flatMap(({ stream }) => stream ?? []);
  const decoding = recognizer.decode(streams);
  closed.close();
  await decoding;
  expect(backlogs).toHaveLength(1);
  // Half a second came, a chunk of 160 ms is decoded.
  expect(backlogs[0]).toBeCloseTo(0.34, 6);
  recognizer.dispose();
});
