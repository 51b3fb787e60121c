import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DECODING_METHODS, isBeamMethod } from '../../src/decoder/methods.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer, type RecognizerOptions } from '../../src/recognizer/recognizer.ts';
import { StreamReports } from '../../src/recognizer/reports.ts';
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import { SessionManager } from '../../src/recognizer/sessions.ts';
import { KEYWORD_HEADS, KeywordSpotter } from '../../src/recognizer/spotter.ts';
import { concatenated } from '../../src/waveform/arrays.ts';
import { resampled } from '../../src/waveform/resampler.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { ENGINE_KINDS, openTestEngine } from '../support/engines.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';
import { tellAll, type Heard } from '../support/snapshots.ts';

/** Short silences end a segment, so that there are many ends. */
const ENDS_OFTEN = { rule2: { mustContainNonSilence: true, minTrailingSilence: 0.3, minUtteranceLength: 0 } };
const HOTWORDS = 'COMPUTER :2.0\nSMART MIRROR\n';
/** Odd, and shorter than a chunk. */
const PIECE = 3571;

/** Two words of the long recording. */
const twoWords = ({ samples, sampleRate }: Waveform): Waveform => {
  const part = (from: number, to: number) => samples.subarray(from * sampleRate, to * sampleRate);
  return { samples: concatenated([part(3, 5), part(8, 10)]), sampleRate };
};

const reporting = (recognizer: OnlineRecognizer): Heard<RecognitionResult> => ({
  listener: recognizer,
  tell: (stream) => new StreamReports(recognizer, stream).next(),
});

describe.each(ENGINE_KINDS)('A snapshot on %s', (kind) => {
  let engine: Engine;
  let model: Model;
  let audio: Waveform;

  beforeAll(async () => {
    engine = await openTestEngine(kind);
    model = openModel(await wakeWordsModel());
    const recording = await sample('stream');
    // A software adapter would take minutes for the whole.
    audio = testsAll && kind === 'cpu' ? recording : twoWords(recording);
  });
  afterAll(() => {
    engine.dispose();
  });

  const create = (options: RecognizerOptions = {}) =>
    OnlineRecognizer.create(engine, model, { maxStreams: 4, chunkFrames: 4, endpointRules: ENDS_OFTEN, ...options });

  it.each(DECODING_METHODS)('goes on byte for byte with %s, wherever it is cut', async (decodingMethod) => {
    const hotwords = isBeamMethod(decodingMethod) ? HOTWORDS : undefined;
    const recognizer = await create({ decodingMethod, hotwords });
    const heard = reporting(recognizer);
    const unbroken = await tellAll(heard, audio, audio.samples.length);
    expect(unbroken.filter(({ isFinal }) => isFinal).length).toBeGreaterThan(1);
    expect(unbroken.some(({ keywords }) => keywords.length > 0)).toBe(true);
    for (const pieces of alsoInAll<'taken' | 'decoded'>(['taken'], ['decoded'])) {
      expect(await tellAll(heard, audio, PIECE, { pieces, first: true, finished: true }), pieces).toEqual(unbroken);
    }
    recognizer.dispose();
  });

  it('goes on byte for byte behind the resampler', async () => {
    const recognizer = await create({ decodingMethod: 'ctc_beam' });
    const heard = reporting(recognizer);
    const resampledAudio = resampled(audio, 44_100);
    const unbroken = await tellAll(heard, resampledAudio, resampledAudio.samples.length);
    const cut = await tellAll(heard, resampledAudio, 9973, { pieces: 'taken', finished: true });
    expect(cut).toEqual(unbroken);
    recognizer.dispose();
  });

  it.each(KEYWORD_HEADS)('goes on with a spotter over the %s head', async (head) => {
    const spotter = await KeywordSpotter.create(engine, model, { maxStreams: 2, chunkFrames: 4, head });
    const heard = { listener: spotter, tell: spotter.getResult.bind(spotter) };
    const unbroken = await tellAll(heard, audio, audio.samples.length);
    const cut = await tellAll(heard, audio, PIECE, { pieces: 'taken', finished: true });
    expect(cut.at(-1)).toEqual(unbroken.at(-1));
    expect(unbroken.at(-1)?.length).toBeGreaterThan(1);
    spotter.dispose();
  });

  it('brings a stream its own keywords and hotwords along, also those of its next segment', async () => {
    const recognizer = await create({ decodingMethod: 'modified_beam_search' });
    const [stream, other] = [recognizer.createStream({ hotwords: 'ALEXA :3' }), recognizer.createStream()];
    recognizer.setKeywords(stream, 'c o m p u t e r ▁ @machine');
    stream.acceptWaveform(audio);
    await recognizer.decode(stream);
    recognizer.setHotwords(stream, HOTWORDS);
    other.dispose();
    const restored = await recognizer.restoreStream((await recognizer.snapshot(stream)).bytes);
    expect(restored.texts).toEqual(stream.texts);
    expect(restored.texts).toEqual({
      hotwords: 'ALEXA :3',
      nextHotwords: HOTWORDS,
      keywords: 'c o m p u t e r ▁ @machine',
    });
    recognizer.dispose();
  });

  it('of a session can be taken while it decodes: both go on, and nothing is told twice', async () => {
    const recognizer = await create();
    const manager = new SessionManager(recognizer, { maxBacklogSeconds: 60 });
    const told: RecognitionResult[] = [];
    const ends = (onResult: (result: RecognitionResult) => void, begin: (handlers: object) => Promise<void>) =>
      new Promise((onClose, reject) => {
        begin({ onResult, onClose }).catch(reject);
      });
    const toldAgain: RecognitionResult[] = [];
    let snapshot = { bytes: new Uint8Array(0), samples: 0, results: 0 };
    await ends(
      (result) => told.push(result),
      async (handlers) => {
        const session = manager.create(handlers);
        const half = Math.floor(audio.samples.length / 2);
        session.push({ ...audio, samples: audio.samples.subarray(0, half) });
        const [first, second] = await Promise.all([session.snapshot(), session.snapshot()]);
        expect(second.samples).toBe(first.samples);
        snapshot = await session.snapshot();
        session.push({ ...audio, samples: audio.samples.subarray(half) });
        session.finish();
      },
    );
    expect(snapshot.samples).toBe(Math.floor(audio.samples.length / 2));
    await ends(
      (result) => toldAgain.push(result),
      async (handlers) => {
        const session = await manager.restore(snapshot.bytes, handlers);
        expect([session.samples, session.results]).toEqual([snapshot.samples, snapshot.results]);
        session.push({ ...audio, samples: audio.samples.subarray(snapshot.samples) });
        session.finish();
      },
    );
    expect(toldAgain.length).toBeGreaterThan(0);
    expect(toldAgain).toEqual(told.slice(snapshot.results));
    recognizer.dispose();
  });

  it('is refused by another model, by other options, when it ends early, and where there is no room', async () => {
    const [recognizer, beam] = [await create({ maxStreams: 1 }), await create({ decodingMethod: 'ctc_beam' })];
    const stream = recognizer.createStream();
    stream.acceptWaveform(audio);
    const { bytes } = await recognizer.snapshot(stream);
    await failure('busy', () => recognizer.restoreStream(bytes));
    stream.dispose();
    expect(await failure('bad-snapshot', () => beam.restoreStream(bytes))).toContain('another decodingMethod');
    const other = await OnlineRecognizer.create(engine, { ...model, config: { ...model.config, unkId: undefined } });
    expect(await failure('bad-snapshot', () => other.restoreStream(bytes))).toContain('another model');
    await failure('bad-snapshot', () => recognizer.restoreStream(bytes.subarray(0, 100)));
    await failure('closed', () => recognizer.snapshot(stream));
    // What was refused has kept no slot.
    (await recognizer.restoreStream(bytes)).dispose();
    [recognizer, beam, other].forEach((each) => {
      each.dispose();
    });
  });
});
