import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DECODING_METHODS, type DecodingMethod } from '../../src/decoder/methods.ts';
import type { DeviceInfo, Engine } from '../../src/encoder/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { StreamReports } from '../../src/recognizer/reports.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { openTestEngine } from '../support/engines.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';

/** Engines differ by rounding, by as much as is allowed beside PyTorch. */
const ENGINES_DIFFER = 5e-5;

type Recognizers = Record<DeviceInfo['kind'], OnlineRecognizer>;

describe('A snapshot of one engine on the other', () => {
  const engines: Engine[] = [];
  let model: Model;
  let audio: Waveform;

  beforeAll(async () => {
    model = openModel(await wakeWordsModel());
    const { samples, sampleRate } = await sample('stream');
    audio = { samples: samples.subarray(3 * sampleRate, 10 * sampleRate), sampleRate };
  });
  afterAll(() => {
    engines.forEach((engine) => {
      engine.dispose();
    });
  });

  async function create(kind: DeviceInfo['kind'], decodingMethod: DecodingMethod): Promise<OnlineRecognizer> {
    const engine = await openTestEngine(kind);
    engines.push(engine);
    return OnlineRecognizer.create(engine, model, { maxStreams: 4, chunkFrames: 4, decodingMethod });
  }

  /** The last results of all segments; behind each piece the other recognizer goes on. */
  async function hear(first: OnlineRecognizer, second: OnlineRecognizer, piece: number) {
    const finals = [];
    let [now, next] = [first, second];
    let stream = now.createStream();
    for (let at = 0; at < audio.samples.length + piece; at += piece) {
      if (at < audio.samples.length) {
        stream.acceptWaveform({ ...audio, samples: audio.samples.subarray(at, at + piece) });
      } else {
        stream.inputFinished();
      }
      do {
        if (now.isReady(stream)) {
          await now.decode(stream);
        }
        finals.push(new StreamReports(now, stream).next());
      } while (now.isReady(stream));
      const { bytes } = await now.snapshot(stream);
      stream.dispose();
      [now, next] = [next, now];
      stream = await now.restoreStream(bytes);
    }
    stream.dispose();
    return finals.flatMap((result) => (result?.isFinal ? [result] : []));
  }

  it.each(DECODING_METHODS)('hears the same with %s, within rounding', async (decodingMethod) => {
    const on: Recognizers = {
      cpu: await create('cpu', decodingMethod),
      webgpu: await create('webgpu', decodingMethod),
    };
    const alone = await hear(on.cpu, on.cpu, audio.samples.length);
    const inTurns = await hear(on.cpu, on.webgpu, 23_456);
    expect(alone.map(({ text }) => text).join(' ')).toContain('computer view glass');
    expect(inTurns.map(({ tokens, timestamps }) => ({ tokens, timestamps }))).toEqual(
      alone.map(({ tokens, timestamps }) => ({ tokens, timestamps })),
    );
    const logProbs = alone.flatMap(({ tokenLogProbs }) => tokenLogProbs);
    const differences = inTurns
      .flatMap(({ tokenLogProbs }) => tokenLogProbs)
      .map((each, i) => Math.abs(each - logProbs[i]));
    expect(Math.max(...differences)).toBeLessThan(ENGINES_DIFFER);
    expect(Math.max(...differences)).toBeGreaterThan(0);
  });
});
