import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ENDPOINT_DEFAULTS } from '../../src/decoder/endpoint.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import type { OnlineStream } from '../../src/recognizer/stream.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { Resampler } from '../../src/waveform/resampler.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { ENGINE_KINDS, openTestEngine } from '../support/engines.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';

describe.each(ENGINE_KINDS)('OnlineRecognizer on %s', (kind) => {
  let engine: Engine;
  let model: Model;
  let recognizer: OnlineRecognizer;

  beforeAll(async () => {
    engine = await openTestEngine(kind);
    model = openModel(await wakeWordsModel());
    recognizer = await OnlineRecognizer.create(engine, model, { maxStreams: 4, chunkFrames: 8 });
  });
  afterAll(() => {
    recognizer.dispose();
    engine.dispose();
  });

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
      const other = await OnlineRecognizer.create(engine, model, { maxStreams: 1, chunkFrames });
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
    recognizer.setKeywords(stream, 'a l e x a ▁ @wake_up');
    stream.acceptWaveform(await sample('alexa'));
    stream.inputFinished();
    await drain([stream]);
    const { keywords } = recognizer.getResult(stream);
    expect(keywords.map(({ keyword }) => keyword)).toEqual(['wake up']);
    stream.dispose();
  });

  it('starts afresh after a restart, also in the middle of a step', async () => {
    const stream = recognizer.createStream();
    stream.acceptWaveform(await sample('snowboy'));
    await drain([stream]);
    // Whatever turn of the event loop the restart falls into, nothing of the old step comes through.
    for (let turns = 0; turns < 12; turns++) {
      stream.acceptWaveform(await sample('snowboy'));
      const running = recognizer.decode(stream);
      for (let turn = 0; turn < turns; turn++) {
        await Promise.resolve();
      }
      recognizer.restart(stream);
      await running;
      expect(stream.tokens).toEqual([]);
      expect(stream.framesReady).toBe(0);
    }
    stream.acceptWaveform(await sample('alexa'));
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream).text).toBe('alexa');
    stream.dispose();
  });

  it('hears after a restart what a new stream hears, whatever was pushed before and at whatever rate', async () => {
    const [stream, fresh] = [recognizer.createStream(), recognizer.createStream()];
    const clip = await sample('alexa');
    stream.acceptWaveform({ samples: (await sample('snowboy')).samples.subarray(0, 12_345), sampleRate: 44_100 });
    await drain([stream]);
    recognizer.restart(stream);
    for (const each of [stream, fresh]) {
      each.acceptWaveform(clip);
      each.inputFinished();
    }
    await drain([stream, fresh]);
    expect(recognizer.getResult(stream)).toEqual(recognizer.getResult(fresh));
    [stream, fresh].forEach((each) => {
      each.dispose();
    });
  });

  it('goes on for others when one stream is closed or gets bad audio', async () => {
    const [good, bad, closed] = [1, 2, 3].map(() => recognizer.createStream());
    good.acceptWaveform(await sample('alexa'));
    good.inputFinished();
    // A refused chunk leaves no trace, its rate included.
    await failure('bad-audio', () => bad.acceptWaveform({ samples: Float32Array.of(0, NaN), sampleRate: 48000 }));
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
    const { text, tokens, words, keywords, isFinal } = recognizer.getResult(stream);
    expect({ text, tokens, words, keywords, isFinal }).toEqual({
      text: '',
      tokens: [],
      words: [],
      keywords: [],
      isFinal: true,
    });
    stream.dispose();
  });

  async function* pieces(name: string): AsyncGenerator<Waveform> {
    const { samples, sampleRate } = await sample(name);
    for (let at = 0; at < samples.length; at += 4000) {
      yield { samples: samples.subarray(at, at + 4000), sampleRate };
    }
  }

  it('transcribes an async iterable, segment by segment', async () => {
    const results: RecognitionResult[] = [];
    for await (const result of recognizer.transcribe(pieces('stream'))) {
      results.push(result);
    }
    const finals = results.filter(({ isFinal }) => isFinal).map(({ text }) => text);
    expect(finals).toEqual(['computer', 'view glass', 'alexa', 'snowboy', 'jarvis', 'smart mirror']);
    expect(results.length).toBeGreaterThan(2 * finals.length);
    for (const { isFinal, text, words } of results.filter((result) => result.isFinal)) {
      expect([isFinal, words.map(({ word }) => word).join(' ')]).toEqual([true, text]);
    }
  });

  it('is a TransformStream too, and gives its slot back when it is cancelled', async () => {
    const read = async (stream: ReadableStream<RecognitionResult>) => {
      const texts: string[] = [];
      const reader = stream.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        texts.push(next.value.text);
      }
      return texts;
    };
    const source = () =>
      new ReadableStream<Waveform>({
        async start(controller) {
          for await (const piece of pieces('jarvis')) {
            controller.enqueue(piece);
          }
          controller.close();
        },
      });
    expect((await read(source().pipeThrough(recognizer.transcriptionStream()))).at(-1)).toBe('jarvis');
    for (let i = 0; i < 6; i++) {
      for await (const result of recognizer.transcribe(pieces('jarvis'))) {
        expect(result.text).not.toBe('');
        break;
      }
    }
  });

  it('chooses the largest chunk within a latency, and changes chunks in mid-stream', async () => {
    const other = await OnlineRecognizer.create(engine, model, { maxStreams: 2, maxFrames: 16 });
    expect(await other.chooseChunkFrames({ latencyMs: 1 })).toBe(1);
    expect(await other.chooseChunkFrames({ latencyMs: 5000 })).toBe(16);
    const step = other.encoder.step.bind(other.encoder);
    const slow = vi.spyOn(other.encoder, 'step').mockImplementation(async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return step(...args);
    });
    // Three frames of 40 ms and the step are 220 ms at least, four are beyond.
    expect(await other.chooseChunkFrames({ latencyMs: 255 })).toBeLessThanOrEqual(3);
    slow.mockRestore();
    const stream = other.createStream();
    stream.acceptWaveform(await sample('alexa'));
    stream.inputFinished();
    for (const frames of [1, 3, 16, 2]) {
      other.chunkFrames = frames;
      await other.decode(stream);
    }
    await drain([stream], other);
    expect(other.getResult(stream).text).toBe('alexa');
    await failure('bad-argument', () => {
      other.chunkFrames = 17;
    });
    other.dispose();
  });

  it('goes on after an endpoint with nothing lost, and counts time on', async () => {
    const { samples, sampleRate } = await sample('stream');
    const whole = recognizer.createStream();
    whole.acceptWaveform({ samples, sampleRate });
    whole.inputFinished();
    await drain([whole]);
    const expected = recognizer.getResult(whole);
    whole.dispose();

    const stream = recognizer.createStream();
    const segments: RecognitionResult[] = [];
    const take = () => {
      segments.push(recognizer.reset(stream));
    };
    for (let at = 0; at < samples.length; at += 1600) {
      stream.acceptWaveform({ samples: samples.subarray(at, at + 1600), sampleRate });
      while (recognizer.isReady(stream)) {
        await recognizer.decode(stream);
        if (recognizer.isEndpoint(stream)) {
          take();
        }
      }
    }
    stream.inputFinished();
    await drain([stream]);
    take();
    stream.dispose();
    const spoken = segments.filter(({ text }) => text !== '');
    expect(spoken.map(({ text }) => text)).toEqual([
      'computer',
      'view glass',
      'alexa',
      'snowboy',
      'jarvis',
      'smart mirror',
    ]);
    expect(spoken.flatMap(({ tokens }) => tokens)).toEqual(expected.tokens);
    expect(spoken.flatMap(({ timestamps }) => timestamps)).toEqual(expected.timestamps);
    expect(spoken.flatMap(({ keywords }) => keywords)).toEqual(expected.keywords);
    segments.forEach(({ segment, startTime, timestamps }, i) => {
      expect(segment).toBe(i);
      timestamps.forEach((time) => expect(time).toBeGreaterThanOrEqual(startTime));
    });
  });

  it.each([
    { rule: 'rule1', seconds: 2.4, speech: false },
    { rule: 'rule2', seconds: 1.2, speech: true },
    { rule: 'rule3', seconds: 20, speech: false },
  ] as const)('endpoint $rule holds after $seconds s', async ({ rule, seconds, speech }) => {
    const never = { mustContainNonSilence: false, minTrailingSilence: 1e9, minUtteranceLength: 0 };
    const endpointRules = { rule1: never, rule2: never, rule3: never, [rule]: ENDPOINT_DEFAULTS[rule] };
    const other = await OnlineRecognizer.create(engine, model, {
      maxStreams: 1,
      chunkFrames: 1,
      endpointRules,
    });
    const stream = other.createStream();
    if (speech) {
      stream.acceptWaveform(await sample('alexa'));
      await drain([stream], other);
    }
    const before = speech ? stream.heard.frames - stream.heard.trailingBlanks : 0;
    stream.acceptWaveform({ samples: new Float32Array(22 * 16000), sampleRate: 16000 });
    while (!other.isEndpoint(stream) && other.isReady(stream)) {
      await other.decode(stream);
    }
    expect((stream.heard.frames - before) * stream.secondsPerFrame).toBeCloseTo(seconds, 6);
    other.dispose();
  });

  it('reports a keyword that a reset cuts in two, once', async () => {
    const stream = recognizer.createStream({ keywords: 'c o m p u t e r ▁ @machine' });
    stream.acceptWaveform(await sample('computer'));
    stream.inputFinished();
    const keywords: string[] = [];
    let cuts = 0;
    while (recognizer.isReady(stream)) {
      await recognizer.decode(stream);
      const { text, keywords: heard } = recognizer.reset(stream);
      cuts += text === '' ? 0 : 1;
      keywords.push(...heard.map(({ keyword }) => keyword));
    }
    keywords.push(...recognizer.getResult(stream).keywords.map(({ keyword }) => keyword));
    expect(cuts).toBeGreaterThan(1);
    expect(keywords).toEqual(['machine']);
    stream.dispose();
  });

  it('refuses what is no audio: whole numbers, and samples of 16 bits', async () => {
    const stream = recognizer.createStream();
    const { samples, sampleRate } = await sample('computer');
    const whole = Int16Array.from(samples, (sample) => 32767 * sample);
    for (const bad of [whole, Float32Array.from(whole), [...samples], new Float32Array([NaN])]) {
      const push = () => {
        stream.acceptWaveform({ samples: bad as Float32Array, sampleRate });
      };
      expect(await failure('bad-audio', push)).toContain('32768');
    }
    stream.dispose();
  });

  it('is not ready for more than it has, whether one waits for a chunk or not', async () => {
    const stream = recognizer.createStream();
    stream.acceptWaveform(await sample('computer'));
    stream.inputFinished();
    const decoding: Promise<void>[] = [];
    while (recognizer.isReady(stream) && decoding.length < 100) {
      decoding.push(recognizer.decode(stream));
    }
    await Promise.all(decoding);
    expect(decoding.length).toBeLessThan(100);
    expect(recognizer.getResult(stream)).toMatchObject({ text: 'computer', isFinal: true });
    stream.dispose();
  });

  it('takes no slot for a transcription that has not begun', async () => {
    for (let i = 0; i < 10; i++) {
      recognizer.transcriptionStream();
    }
    recognizer.createStream().dispose();
  });

  it.each([
    { endpointRules: { rule1: { mustContainNonSilence: false, minTrailingSilence: NaN, minUtteranceLength: 0 } } },
    { decodingMethod: 'greedy' as 'greedy_search' },
  ])('refuses %o', async (options) => {
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, options));
  });

  it('refuses a latency that is none', async () => {
    await failure('bad-argument', () => recognizer.chooseChunkFrames({ latencyMs: NaN }));
  });

  it('zeroes the encoder at a reset if asked to, without a gap in the audio', async () => {
    const { samples, sampleRate } = await sample('jarvis');
    const stream = recognizer.createStream();
    stream.acceptWaveform({ samples, sampleRate });
    await drain([stream]);
    const { frames } = stream.stats;
    recognizer.reset(stream, { encoder: true });
    const { h, c } = await stream.state.read();
    expect([...h, ...c].every((value) => value === 0)).toBe(true);
    stream.acceptWaveform({ samples, sampleRate });
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream).text).toBe('jarvis');
    expect(stream.stats.frames - frames).toBeGreaterThan(75);
    stream.dispose();
  });

  it.each(['greedy_search', 'modified_beam_search', 'ctc_beam'] as const)(
    'hears every clip with %s',
    async (decodingMethod) => {
      const other = await OnlineRecognizer.create(engine, model, { maxStreams: 8, decodingMethod });
      const names = ['alexa', 'amelia', 'athena', 'computer', 'jarvis', 'smart-mirror', 'snowboy', 'view-glass'];
      const streams = names.map(() => other.createStream());
      for (const [i, name] of names.entries()) {
        streams[i].acceptWaveform(await sample(name));
        streams[i].inputFinished();
      }
      await drain(streams, other);
      const labels = names.map((name) => name.replace('-', ' '));
      const results = streams.map((stream) => other.getResult(stream));
      expect(results.map(({ text }) => text)).toEqual(labels);
      expect(results.map(({ keywords }) => keywords.map(({ keyword }) => keyword))).toEqual(
        labels.map((label) => [label]),
      );
      other.dispose();
    },
  );

  it('takes other hotwords where a stream has heard nothing yet, and from its next segment on', async () => {
    const other = await OnlineRecognizer.create(engine, model, {
      maxStreams: 3,
      decodingMethod: 'modified_beam_search',
    });
    const hotwords = 'a l e k s a ▁ :100';
    const [bent, fresh, later] = [other.createStream({ hotwords }), other.createStream(), other.createStream()];
    const { samples, sampleRate } = await sample('alexa');
    other.setHotwords(fresh, hotwords);
    await failure('bad-model', () => other.setHotwords(fresh, 'ж'));
    later.acceptWaveform({ samples: samples.subarray(0, 8000), sampleRate });
    await drain([later], other);
    other.setHotwords(later, hotwords);
    later.acceptWaveform({ samples: samples.subarray(8000), sampleRate });
    for (const stream of [bent, fresh]) {
      stream.acceptWaveform({ samples, sampleRate });
    }
    const finish = async (streams: readonly OnlineStream[]) => {
      streams.forEach((stream) => {
        stream.inputFinished();
      });
      await drain(streams, other);
      return streams.map((stream) => other.getResult(stream).text);
    };
    const [expected, ...texts] = await finish([bent, fresh, later]);
    expect(expected).not.toBe('alexa');
    expect(texts).toEqual([expected, 'alexa']);
    other.restart(later);
    later.acceptWaveform({ samples, sampleRate });
    expect(await finish([later])).toEqual([expected]);
    other.dispose();
  });

  it('takes hotwords per stream in a beam search, and refuses them in a greedy one', async () => {
    await failure('bad-argument', () => recognizer.createStream({ hotwords: 'a l e x a ▁' }));
    const other = await OnlineRecognizer.create(engine, model, {
      maxStreams: 2,
      decodingMethod: 'modified_beam_search',
    });
    const [plain, bent] = [other.createStream(), other.createStream({ hotwords: 'a l e k s a ▁ :100' })];
    for (const stream of [plain, bent]) {
      stream.acceptWaveform(await sample('alexa'));
      stream.inputFinished();
    }
    await drain([plain, bent], other);
    expect(other.getResult(plain).text).toBe('alexa');
    expect(other.getResult(bent).text).not.toBe('alexa');
    await failure('bad-argument', () =>
      OnlineRecognizer.create(engine, model, { decodingMethod: 'ctc_beam', hotwordsScore: 1e300 }),
    );
    other.dispose();
  });

  it('refuses a chunk of no frames, and a model without tokens', async () => {
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, { chunkFrames: 0 }));
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, { chunkFrames: 8, maxFrames: 4 }));
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, { maxActivePaths: 0 }));
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, { blankPenalty: NaN }));
    await failure('bad-argument', () => OnlineRecognizer.create(engine, model, { blankPenalty: 1e39 }));
    const held = engine.memory.get('weights');
    const noHeads: Model = { ...model, sizes: { ...model.sizes, hasCtc: false, transducer: undefined } };
    await failure('bad-model', () => OnlineRecognizer.create(engine, noHeads));
    expect(engine.memory.get('weights')).toBe(held);
    await failure('bad-model', () => OnlineRecognizer.create(engine, { ...model, tokens: undefined }));
    await failure('bad-model', () => OnlineRecognizer.create(engine, model, { keywords: 'ж é' }));
  });
});

describe('OnlineRecognizer on a GPU', () => {
  let engine: WebGpuEngine;
  let model: Model;
  let recognizer: OnlineRecognizer;

  beforeAll(async () => {
    engine = new WebGpuEngine(await createNodeContext(), { kernels: { convolutions: 'plain', matrices: 'plain' } });
    model = openModel(await wakeWordsModel());
    recognizer = await OnlineRecognizer.create(engine, model, { maxStreams: 4, chunkFrames: 8 });
  });
  afterAll(() => {
    recognizer.dispose();
    engine.dispose();
  });

  async function drain(streams: readonly OnlineStream[]): Promise<void> {
    while (streams.some((stream) => recognizer.isReady(stream))) {
      await recognizer.decode(streams);
    }
  }

  it('refuses to go on with a stream whose step was lost, until it is restarted', async () => {
    const stream = recognizer.createStream();
    const clip = await sample('alexa');
    stream.acceptWaveform(clip);
    stream.inputFinished();
    await recognizer.decode(stream);
    const map = vi.spyOn(GPUBuffer.prototype, 'mapAsync').mockRejectedValueOnce(new Error('lost in transit'));
    await failure('gpu', () => recognizer.decode(stream));
    map.mockRestore();
    await failure('gpu', () => recognizer.decode(stream));
    recognizer.restart(stream);
    stream.acceptWaveform(clip);
    stream.inputFinished();
    await drain([stream]);
    expect(recognizer.getResult(stream).text).toBe('alexa');
    stream.dispose();
  });

  it('does not take a stream for finished whose last chunk waits for room that is coming', async () => {
    const growing = await OnlineRecognizer.create(engine, model, { maxStreams: 8, chunkFrames: 96 });
    const stream = growing.createStream();
    stream.acceptWaveform(await sample('computer'));
    stream.inputFinished();
    // The fifth makes it grow: steps wait until it is known whether there was memory.
    const others = Array.from({ length: 4 }, () => growing.createStream());
    const decoding = growing.decode(stream);
    expect(growing.isReady(stream)).toBe(false);
    expect(growing.getResult(stream).isFinal).toBe(false);
    await decoding;
    expect(growing.getResult(stream)).toMatchObject({ text: 'computer', isFinal: true });
    others.forEach((each) => {
      each.dispose();
    });
    growing.dispose();
  });
});
