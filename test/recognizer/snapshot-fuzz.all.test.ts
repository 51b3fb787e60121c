import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBeamMethod, type DecodingMethod } from '../../src/decoder/methods.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import type { Listener } from '../../src/recognizer/listener.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { KeywordSpotter } from '../../src/recognizer/spotter.ts';
import type { OnlineStream } from '../../src/recognizer/stream.ts';
import { seal } from '../../src/snapshot/seal.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { resampled } from '../../src/waveform/resampler.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';
import { bitFlips, expectRefused, expectSurvived, hostileLengths, truncations, type Damaged } from '../support/fuzz.ts';

const HEADER_BYTES = 12;
const LIMITS = { codes: ['bad-snapshot'], growth: 8 } as const;

/** Damage that the checksum knows nothing of. */
function* behindTheChecksum(sealed: Uint8Array): Generator<Damaged> {
  const body = sealed.slice(HEADER_BYTES);
  const damages = [truncations(body), bitFlips(body, 150), hostileLengths(body, 20), notNumbers(body)];
  for (const { what, bytes } of damages.flatMap((each) => [...each])) {
    yield { what: `${what}, sealed again`, bytes: seal('RLST', bytes) };
  }
}

/** Numbers that are none, or huge over bytes of the beginning, where counts and scores are. */
function* notNumbers(body: Uint8Array): Generator<Damaged> {
  for (let at = 0; at + 8 <= Math.min(body.length, 4000); at += 40) {
    for (const value of [NaN, -1, 2 ** 40, 1e300]) {
      const bytes = body.slice();
      new DataView(bytes.buffer).setFloat64(at, value, true);
      yield { what: `${value} at byte ${at}`, bytes };
    }
  }
}

type Subject = Listener & { createStream: () => OnlineStream };

describe('A damaged snapshot', () => {
  let model: Model;
  let audio: Waveform;
  const engine = new WasmEngine();

  beforeAll(async () => {
    model = openModel(await wakeWordsModel());
    audio = await sample('computer');
  });
  afterAll(() => {
    engine.dispose();
  });

  const subjects: Record<string, () => Promise<Subject>> = {
    ctc_greedy: () => recognizer('ctc_greedy'),
    ctc_beam: () => recognizer('ctc_beam'),
    greedy_search: () => recognizer('greedy_search'),
    modified_beam_search: () => recognizer('modified_beam_search'),
    'a spotter over CTC': () => KeywordSpotter.create(engine, model, { chunkFrames: 4, head: 'ctc' }),
    'a spotter over the transducer': () => KeywordSpotter.create(engine, model, { chunkFrames: 4, head: 'transducer' }),
  };
  const recognizer = (decodingMethod: DecodingMethod) =>
    OnlineRecognizer.create(engine, model, {
      chunkFrames: 4,
      decodingMethod,
      hotwords: isBeamMethod(decodingMethod) ? 'COMPUTER' : undefined,
    });

  /** A stream in the middle of a word, at a rate of its own, with features that wait. */
  async function halfHeard(subject: Subject): Promise<Uint8Array<ArrayBuffer>> {
    const { samples, sampleRate } = resampled(audio, 22_050);
    const stream = subject.createStream();
    stream.acceptWaveform({ samples: samples.subarray(0, 25_000), sampleRate });
    await subject.decode(stream);
    await subject.decode(stream);
    const { bytes } = await subject.snapshot(stream);
    stream.dispose();
    return bytes;
  }

  it.each(Object.keys(subjects))('of %s is refused, whatever has happened to it', async (name) => {
    const subject = await subjects[name]();
    const bytes = await halfHeard(subject);
    const read = async (damaged: Uint8Array) => {
      (await subject.restoreStream(damaged)).dispose();
      return damaged.length;
    };
    await expectRefused(truncations(bytes), read, LIMITS);
    await expectRefused(bitFlips(bytes, 100), read, LIMITS);
    await expectRefused([{ what: 'with a byte more', bytes: Uint8Array.of(...bytes, 0) }], read, LIMITS);
    const refused = await expectSurvived(behindTheChecksum(bytes), read, LIMITS);
    expect(refused).toBeGreaterThan(100);
    subject.dispose();
  });

  it.each(Object.keys(subjects))('of %s that is restored all the same harms no neighbour', async (name) => {
    const subject = await subjects[name]();
    const bytes = await halfHeard(subject);
    const tokensOf = async (beside: OnlineStream[]) => {
      const stream = subject.createStream();
      stream.acceptWaveform(audio);
      stream.inputFinished();
      while (subject.isReady(stream)) {
        // Whatever comes of the others.
        await subject.decode([stream, ...beside.filter(({ hasFailed }) => !hasFailed)]).catch(() => undefined);
      }
      const { tokens, keywordHits } = stream;
      stream.dispose();
      return { tokens, keywordHits };
    };
    const alone = await tokensOf([]);
    let restored: OnlineStream[] = [];
    const damages = [...behindTheChecksum(bytes)].filter((_, i) => i % 8 === 0);
    for (const { bytes: damaged } of damages) {
      const stream = await subject.restoreStream(damaged).catch(() => undefined);
      if (stream && !stream.isInputFinished) {
        stream.acceptWaveform({ samples: resampled(audio, 22_050).samples, sampleRate: 22_050 });
        restored.push(stream);
      }
      if (restored.length === 12) {
        expect(await tokensOf(restored)).toEqual(alone);
        restored.forEach((each) => {
          each.dispose();
        });
        restored = [];
      }
    }
    subject.dispose();
  });
});
