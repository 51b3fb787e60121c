import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openModel, type ModelFiles } from '../../../src/model/model.ts';
import { openNodeEngine } from '../../../src/node/engine.ts';
import { openModelFolder } from '../../../src/node/files.ts';
import { openNegativeSpeech } from '../../../src/node/speech.ts';
import { KeywordSpotter } from '../../../src/recognizer/spotter.ts';
import { teachPhrase } from '../../../src/training/teach/teach.ts';
import { readWav } from '../../../src/waveform/wav.ts';
import type { Waveform } from '../../../src/waveform/waveform.ts';
import { readManifest } from '../../../tools/manifest.ts';
import { fixturePath, wakeWordsFolder } from '../../support/fixtures.ts';

const PHRASE = 'hey chatterbox';
/** Some minutes of one processor, or of a busy one. */
const PATIENCE = 20 * 60_000;

const readSound = async (path: string): Promise<Waveform> => readWav(await readFile(path));

async function soundsIn(folder: string): Promise<Waveform[]> {
  const names = (await readdir(fixturePath(`teach/${folder}`))).sort();
  return Promise.all(names.map((name) => readSound(fixturePath(`teach/${folder}/${name}`))));
}

/** The recordings of single phrases that come with the model. */
async function samples(): Promise<{ text: string; waveform: Waveform }[]> {
  const list = await readManifest(`${wakeWordsFolder}/samples/list.csv`);
  const phrases = list.filter(({ audio }) => !audio.endsWith('stream.wav'));
  return Promise.all(phrases.map(async ({ audio, text }) => ({ text, waveform: await readSound(audio) })));
}

/** The keywords that a model hears in a recording. */
async function heardBy(spotter: KeywordSpotter, { samples: all, sampleRate }: Waveform): Promise<string[]> {
  using stream = spotter.createStream();
  stream.acceptWaveform({ samples: all, sampleRate });
  stream.inputFinished();
  while (spotter.isReady(stream)) {
    await spotter.decode(stream);
  }
  return spotter.getResult(stream).map(({ keyword }) => keyword);
}

describe('a lesson of ten takes, on the CPU', { timeout: PATIENCE }, () => {
  it('teaches a phrase that is heard in other takes, hardly in other speech, and beside all that was known', async () => {
    const known = await samples();
    const files: ModelFiles = await teachPhrase({
      ...{ model: await openModelFolder(wakeWordsFolder), phrase: PHRASE, rehearsal: known },
      ...{ recordings: await soundsIn('hey-chatterbox'), speech: [await openNegativeSpeech()] },
      openEngine: () => openNodeEngine({ device: 'cpu' }),
    });
    const device = await openNodeEngine({ device: 'cpu' });
    const spotter = await KeywordSpotter.load(openModel(files), { device });
    const again = await soundsIn('hey-chatterbox-again');
    const heard = await Promise.all(again.map(async (take) => (await heardBy(spotter, take)).includes(PHRASE)));
    // One in twenty is missed, as docs/teaching.md has it.
    expect(heard.filter(Boolean).length).toBeGreaterThanOrEqual(again.length - 1);
    const alarms = await heardBy(spotter, await readSound(fixturePath('teach/other-speech.wav')));
    expect(alarms.length).toBeLessThanOrEqual(1);
    for (const { text, waveform } of known) {
      expect(await heardBy(spotter, waveform)).toEqual([text]);
    }
    spotter.dispose();
    device.dispose();
  });
});
