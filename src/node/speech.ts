import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RillError } from '../errors.ts';
import { readWav } from '../waveform/wav.ts';
import type { Waveform } from '../waveform/waveform.ts';
import { readInput } from './files.ts';

/** From this file to the package's own folder, as source and compiled. */
const PACKAGE_FOLDERS = ['../..', '../../..'];

/**
 * Other people's speech to teach a phrase against, which comes with the package: `weights/negatives/speech.wav`, five and a half
 * minutes (LibriSpeech, CC BY 4.0).
 *
 * @throws RillError `bad-argument` where it was left out.
 */
export async function openNegativeSpeech(): Promise<Waveform> {
  const paths = PACKAGE_FOLDERS.map((folder) =>
    fileURLToPath(new URL(`${folder}/weights/negatives/speech.wav`, import.meta.url)),
  );
  const path = paths.find(existsSync);
  if (path === undefined) {
    throw new RillError('bad-argument', {
      got: 'no weights/negatives/speech.wav in the package',
      expected: 'speech to teach against',
      remedy: 'Install the package anew, or hand in minutes of speech of your own.',
    });
  }
  return readWav(await readInput(path));
}
