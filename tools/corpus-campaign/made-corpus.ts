import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { concatenated } from '../../src/waveform/arrays.ts';
import { readRecording } from '../recordings.ts';
import { wavFile } from '../wav.ts';

/** A wake-word is shorter; a recording of many is no piece to make others of. */
const LONGEST_SECONDS = 10;

/**
 * Writes short recordings, each a word or two of the samples, quieter or louder, after some silence: nearly all differ.
 *
 * @param samples the folder of recordings that they are made of
 */
export async function makeCorpus(folder: string, samples: string, count: number): Promise<void> {
  const names = (await readdir(samples)).filter((name) => name.endsWith('.wav')).sort();
  const all = await Promise.all(names.map((name) => readRecording(join(samples, name))));
  const words = all.filter(({ samples: { length }, sampleRate }) => length < LONGEST_SECONDS * sampleRate);
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    await writeFile(join(folder, `${String(i).padStart(5, '0')}.wav`), wavFile(made(words, i)));
  }
}

/** Recording number `i`. */
function made(words: readonly Waveform[], i: number): Waveform {
  const [first, second] = [words[i % words.length], words[Math.floor(i / words.length) % words.length]];
  const silence = new Float32Array(40 * (i % 97));
  const gain = 0.5 + (i % 13) / 26;
  const parts = i % 3 === 0 ? [silence, first.samples, second.samples] : [silence, first.samples];
  return { samples: concatenated(parts).map((sample) => gain * sample), sampleRate: first.sampleRate };
}
