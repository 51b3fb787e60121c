import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuContext } from '../../src/gpu/context.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import type { OnlineStream } from '../../src/recognizer/stream.ts';
import { Resampler } from '../../src/waveform/resampler.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';

describe('OnlineRecognizer', () => {
  let gpu: GpuContext;
  let model: Model;
  let recognizer: OnlineRecognizer;

  beforeAll(async () => {
    gpu = await createNodeContext();
    model = openModel(await wakeWordsModel());
    recognizer = await OnlineRecognizer.create(gpu, model, { maxStreams: 4, chunkFrames: 8 });
  });
  afterAll(() => recognizer.dispose());

  async function drain(streams: readonly OnlineStream[], by = recognizer): Promise<void> {
    while (streams.some((stream) => by.isReady(stream))) {
      await by.decode(streams);
    }
  }

  it('hears streams of different lengths side by side as it hears them alone', async () => {
    const names = ['alexa', 'computer', 'amelia'];
    const clips = await Promise.all(names.map(sample));
    const together = clips.map((clip) => {
      const stream = recognizer.createStream();
      stream.acceptWaveform(clip);
      stream.inputFinished();
      return stream;
    });
    await drain(together);
    const results = together.map((stream) => recognizer.getResult(stream));
    expect(results.map(({ text }) => text)).toEqual(names);
    together.forEach((stream) => stream.dispose());
    for (const [i, clip] of clips.entries()) {
      const stream = recognizer.createStream();
      stream.acceptWaveform(clip);
      stream.inputFinished();
      await drain([stream]);
      expect(recognizer.getResult(stream)).toEqual(results[i]);
      stream.dispose();
    }
  });

  it('hears the same at any chunk size and in any pieces of audio', async () => {
    const { samples, sampleRate } = await sample('smart-mirror');
    const results = [];
    for (const [chunkFrames, piece] of [
      [1, 1600],
      [4, 12345],
      [16, 160],
    ]) {
      const other = await OnlineRecognizer.create(gpu, model, { maxStreams: 1, chunkFrames });
      const stream = other.createStream();
      for (let at = 0; at < samples.length; at += piece) {
        stream.acceptWaveform({ samples: samples.subarray(at, at + piece), sampleRate });
        await drain([stream], other);
      }
      stream.inputFinished();
      await drain([stream], other);
      results.push(other.getResult(stream));
      other.dispose();
    }
    expect(results[0].text).toBe('smart mirror');
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it('takes audio at the microphone’s rate', async () => {
    const { samples, sampleRate } = await sample('jarvis');
    const up = new Resampler(sampleRate, 48000);
    const stream = recognizer.createStream();
    stream.acceptWaveform({ samples: Float32Array.from([...up.accept(samples), ...up.finish()]), sampleRate: 48000 });
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream).text).toBe('jarvis');
    stream.dispose();
  });

  it('queues overlapping calls', async () => {
    const stream = recognizer.createStream();
    stream.acceptWaveform(await sample('athena'));
    stream.inputFinished();
    await Promise.all(Array.from({ length: 12 }, () => recognizer.decode(stream)));
    expect(recognizer.getResult(stream).text).toBe('athena');
    expect(stream.stats).toMatchObject({ chunks: 8, frames: 64 });
    expect(stream.stats.realTimeFactor).toBeGreaterThan(0);
    stream.dispose();
  });

  it('looks for other keywords from the moment it is told', async () => {
    const stream = recognizer.createStream();
    stream.setKeywords(recognizer.parseKeywords('a l e x a ▁ @wake_up'));
    stream.acceptWaveform(await sample('alexa'));
    stream.inputFinished();
    await drain([stream]);
    const { keywords } = recognizer.getResult(stream);
    expect(keywords.map(({ keyword }) => keyword)).toEqual(['wake up']);
    stream.dispose();
  });

  it('starts afresh after a reset, also in the middle of a step', async () => {
    const stream = recognizer.createStream();
    stream.acceptWaveform(await sample('snowboy'));
    const running = recognizer.decode(stream);
    recognizer.reset(stream);
    await running;
    expect(stream.tokens).toEqual([]);
    stream.acceptWaveform(await sample('alexa'));
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream).text).toBe('alexa');
    stream.dispose();
  });

  it('goes on for others when one stream is closed or gets bad audio', async () => {
    const [good, bad, closed] = [1, 2, 3].map(() => recognizer.createStream());
    good.acceptWaveform(await sample('alexa'));
    good.inputFinished();
    await failure('bad-audio', () => bad.acceptWaveform({ samples: Float32Array.of(0, NaN), sampleRate: 16000 }));
    bad.acceptWaveform({ samples: new Float32Array(16000), sampleRate: 16000 });
    await failure('bad-audio', () => bad.acceptWaveform({ samples: new Float32Array(1), sampleRate: 8000 }));
    closed.acceptWaveform({ samples: new Float32Array(16000), sampleRate: 16000 });
    closed.dispose();
    await failure('closed', () => recognizer.decode([good, closed]));
    await failure('closed', () => closed.acceptWaveform({ samples: new Float32Array(1), sampleRate: 16000 }));
    await drain([good, bad]);
    expect(recognizer.getResult(good).text).toBe('alexa');
    await failure('closed', () => good.acceptWaveform({ samples: new Float32Array(1), sampleRate: 16000 }));
    good.dispose();
    bad.dispose();
  });

  it('hears nothing in no audio', async () => {
    const stream = recognizer.createStream();
    expect(recognizer.isReady(stream)).toBe(false);
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream)).toEqual({ text: '', tokens: [], timestamps: [], words: [], keywords: [] });
    stream.dispose();
  });

  it('refuses a chunk of no frames, and a model without tokens', async () => {
    await failure('bad-argument', () => OnlineRecognizer.create(gpu, model, { chunkFrames: 0 }));
    await failure('bad-model', () => OnlineRecognizer.create(gpu, { ...model, tokens: undefined }));
    await failure('bad-model', () => OnlineRecognizer.create(gpu, model, { keywords: 'no such tokens' }));
  });
});
