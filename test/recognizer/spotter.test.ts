import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/encoder/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { KeywordSpotter } from '../../src/recognizer/spotter.ts';
import type { OnlineStream } from '../../src/recognizer/stream.ts';
import { ENGINE_KINDS, openTestEngine } from '../support/engines.ts';
import { failure } from '../support/failure.ts';
import { sample, sampleJson, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

describe.each(ENGINE_KINDS)('KeywordSpotter on %s', (kind) => {
  let engine: Engine;
  let model: Model;
  let spotter: KeywordSpotter;

  beforeAll(async () => {
    engine = await openTestEngine(kind);
    model = openModel(await wakeWordsModel());
    spotter = await KeywordSpotter.create(engine, model, { maxStreams: 4, chunkFrames: 8 });
  });
  afterAll(() => {
    spotter.dispose();
    engine.dispose();
  });

  async function drain(streams: readonly OnlineStream[], by = spotter): Promise<void> {
    while (streams.some((stream) => by.isReady(stream))) {
      await by.decode(streams);
    }
  }

  async function hear(name: string, keywords?: string, by = spotter): Promise<string[]> {
    const stream = by.createStream({ keywords });
    stream.acceptWaveform(await sample(name));
    stream.inputFinished();
    await drain([stream], by);
    const heard = by.getResult(stream).map(({ keyword }) => keyword);
    stream.dispose();
    return heard;
  }

  it('finds every keyword of the long recording in its place, and nothing else', async () => {
    const stream = spotter.createStream();
    stream.acceptWaveform(await sample('stream'));
    stream.inputFinished();
    await drain([stream]);
    const { keywords } = await sampleJson<{ keywords: { keyword: string; start: number; end: number }[] }>('stream');
    const heard = spotter.getResult(stream);
    expect(heard.map(({ keyword }) => keyword)).toEqual(keywords.map(({ keyword }) => keyword));
    heard.forEach(({ start, end, score }, i) => {
      // A causal model emits late: inside the place, or up to 0.3 s beyond it.
      expect(start).toBeGreaterThan(keywords[i].start - 0.3);
      expect(end).toBeLessThan(keywords[i].end + 0.3);
      expect(score).toBeGreaterThan(0.8);
    });
    stream.dispose();
  });

  it.each(['alexa', 'amelia', 'athena', 'computer', 'jarvis', 'smart-mirror', 'snowboy', 'view-glass'])(
    'hears %s once',
    async (name) => {
      expect(await hear(name)).toEqual([name.replace('-', ' ')]);
    },
  );

  it('hears nothing in silence and in noise', async () => {
    const [silence, noise] = [spotter.createStream(), spotter.createStream()];
    silence.acceptWaveform({ samples: new Float32Array(10 * 16000), sampleRate: 16000 });
    noise.acceptWaveform({ samples: randoms(10 * 16000, 7, 0.1), sampleRate: 16000 });
    [silence, noise].forEach((stream) => {
      stream.inputFinished();
    });
    await drain([silence, noise]);
    expect([spotter.getResult(silence), spotter.getResult(noise)]).toEqual([[], []]);
    silence.dispose();
    noise.dispose();
  });

  it('listens for a stream’s own keywords, with their thresholds', async () => {
    expect(await hear('alexa', 'j a r v i s ▁ @jarvis')).toEqual([]);
    expect(await hear('alexa', 'a l e x a ▁ @WAKE_UP')).toEqual(['WAKE UP']);
    expect(await hear('alexa', 'Alexa :1.5')).toEqual(['alexa']);
    for (let i = 0; i < 5; i++) {
      await failure('bad-model', () => spotter.createStream({ keywords: 'ж é' }));
    }
    spotter.createStream().dispose();
  });

  it('refuses options out of range at once', async () => {
    const before = [...engine.memory];
    await failure('bad-argument', () => KeywordSpotter.create(engine, model, { maxActivePaths: 0 }));
    await failure('bad-argument', () => KeywordSpotter.create(engine, model, { keywordsScore: 1e300 }));
    expect([...engine.memory]).toEqual(before);
  });

  it('takes the options of its search', async () => {
    // A keyword that must win by more than it can have.
    const options = { maxStreams: 1, chunkFrames: 8, keywordsScore: -1 };
    const strict = await KeywordSpotter.create(engine, model, options);
    expect(await hear('alexa', 'a l e x a ▁ @alexa', strict)).toEqual([]);
    expect(await hear('alexa', 'a l e x a ▁ @alexa :1', strict)).toEqual(['alexa']);
    strict.dispose();
  });

  it('listens to the transducer where it is told to, or where there is no CTC head', async () => {
    const withoutCtc: Model = { ...model, sizes: { ...model.sizes, hasCtc: false } };
    for (const [source, head] of [[model, 'transducer'] as const, [withoutCtc, undefined] as const]) {
      const other = await KeywordSpotter.create(engine, source, { maxStreams: 1, chunkFrames: 8, head });
      expect(await hear('alexa', undefined, other)).toEqual(['alexa']);
      other.dispose();
    }
    await failure('bad-model', () => KeywordSpotter.create(engine, withoutCtc, { head: 'ctc' }));
  });

  it('changes keywords in mid-stream, and keeps what was heard', async () => {
    const stream = spotter.createStream({ keywords: 'a l e x a ▁ @first' });
    const { samples, sampleRate } = await sample('alexa');
    const pause = new Float32Array(sampleRate);
    stream.acceptWaveform({ samples, sampleRate });
    stream.acceptWaveform({ samples: pause, sampleRate });
    await drain([stream]);
    spotter.setKeywords(stream, 'a l e x a ▁ @second');
    stream.acceptWaveform({ samples, sampleRate });
    stream.inputFinished();
    await drain([stream]);
    const heard = spotter.getResult(stream);
    expect(heard.map(({ keyword }) => keyword)).toEqual(['first', 'second']);
    expect(heard[1].start - heard[0].start).toBeCloseTo(samples.length / sampleRate + 1, 0);
    spotter.reset(stream);
    expect(spotter.getResult(stream)).toEqual([]);
    stream.dispose();
  });

  it('refuses a model without any head, and a head that there is not', async () => {
    const headless: Model = { ...model, sizes: { ...model.sizes, hasCtc: false, transducer: undefined } };
    await failure('bad-model', () => KeywordSpotter.create(engine, headless));
    await failure('bad-argument', () => KeywordSpotter.create(engine, model, { head: 'rnn' as 'ctc' }));
  });
});
