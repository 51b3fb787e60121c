import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RillError } from '../../../src/errors.ts';
import { openModelFolder } from '../../../src/node/files.ts';
import { OnlineRecognizer } from '../../../src/recognizer/recognizer.ts';
import { Hearing, type Heard, type HearingReports } from '../../../src/server/corpus/hearing.ts';
import { WasmEngine } from '../../../src/wasm/engine.ts';
import type { Waveform } from '../../../src/waveform/waveform.ts';
import { readRecording } from '../../../tools/recordings.ts';
import { wakeWordsFolder } from '../../support/fixtures.ts';
import { corpusFiles } from './support.ts';

const NAMES = ['alexa', 'computer', 'jarvis', 'snowboy', 'view-glass'];
const CHUNK_FRAMES = 16;

/** What was told of files, by their names. */
class Told implements HearingReports {
  readonly texts = new Map<string, string>();
  readonly refused = new Map<string, unknown>();

  async onBegin(): Promise<void> {
    // Nothing to tell.
  }

  async onHeard({ audio }: { audio: string }, { segments }: Heard): Promise<void> {
    this.texts.set(audio, segments.map(({ text }) => text).join('|'));
  }

  async onRefused({ audio }: { audio: string }, error: unknown): Promise<void> {
    this.refused.set(audio, error);
  }
}

describe('files side by side', () => {
  let opened: OnlineRecognizer[];
  let words: Map<string, Waveform>;
  const openRecognizer = async () => {
    const model = await openModelFolder(wakeWordsFolder);
    const options = { maxStreams: 3, chunkFrames: CHUNK_FRAMES };
    const recognizer = await OnlineRecognizer.create(new WasmEngine(), model, options);
    opened.push(recognizer);
    return recognizer;
  };
  beforeAll(async () => {
    const read = async (name: string) => [name, await readRecording(`${wakeWordsFolder}/samples/${name}.wav`)] as const;
    words = new Map(await Promise.all(NAMES.map(read)));
  });
  afterAll(() => {
    opened.forEach((recognizer) => {
      recognizer.dispose();
    });
  });

  const openAudio = async ({ audio }: { audio: string }) => {
    const word = words.get(audio);
    if (!word) {
      throw new Error('no such file');
    }
    return { audio: [word] };
  };

  it('are heard as each alone, whatever is wrong with others', async () => {
    opened = [];
    const hearing = new Hearing({ openRecognizer, openAudio });
    const broken = { samples: Float32Array.of(NaN), sampleRate: 16000 };
    words.set('broken', broken);
    const told = new Told();
    const files = corpusFiles([...NAMES, 'broken', 'missing', ...NAMES]);
    await Promise.all([hearing.hear(files.slice(0, 6), told), hearing.hear(files.slice(6), told)]);
    expect([...told.refused.keys()].sort()).toEqual(['broken', 'missing']);
    const [recognizer] = opened;
    for (const name of NAMES) {
      const finals: string[] = [];
      const { audio } = await openAudio({ audio: name });
      for await (const { isFinal, text } of recognizer.transcribe(audio)) {
        if (isFinal) {
          finals.push(text);
        }
      }
      expect(told.texts.get(name), name).toBe(finals.join('|'));
    }
    await hearing.dispose();
  });

  it('end together when the engine fails, and the next are heard by another recognizer', async () => {
    opened = [];
    const hearing = new Hearing({ openRecognizer, openAudio });
    await hearing.ready();
    const lost = new RillError('no-memory', { got: 'none', expected: 'some', remedy: 'Wait.' });
    opened[0].decode = () => Promise.reject(lost);
    const told = new Told();
    await expect(hearing.hear(corpusFiles(NAMES), told)).rejects.toBe(lost);
    expect(told.refused.size).toBe(0);
    await hearing.hear(corpusFiles(NAMES), told);
    expect(opened).toHaveLength(2);
    expect(told.texts.get('jarvis')).toBe('jarvis');
    await hearing.dispose();
  });
});
