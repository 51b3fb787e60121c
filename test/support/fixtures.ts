import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { readWav } from '../../src/waveform/wav.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { readModelFiles } from '../../tools/files.ts';
import { readNpy, type NpyArray } from '../../tools/npy.ts';

export const fixturePath = (path: string) => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
export const wakeWordsFolder = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));

export const readFixture = async (path: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await readFile(fixturePath(path)));
export const readArray = async (path: string) => readNpy(await readFixture(path), path);

/** Cases that PyTorch computed on random weights: test/fixtures/golden. */
export const GOLDEN_CASES = ['small', 'noproj', 'odd', 'deep'] as const;

/** What is made of a name, once for each test file; nobody writes to it. */
export function madeOnce<Name extends string, Made>(make: (name: Name) => Promise<Made>) {
  const made = new Map<Name, Promise<Made>>();
  return (name: Name): Promise<Made> => {
    const own = made.get(name) ?? make(name);
    made.set(name, own);
    return own;
  };
}

export const goldenModel = madeOnce(async (name: string): Promise<ModelFiles> => {
  const config = new TextDecoder().decode(await readFixture(`golden/${name}/config.json`));
  return convertCheckpoint(bytesSource(await readFixture(`golden/${name}/checkpoint.pt`)), { config });
});

/** A token table for a model without one: the blank, then a character for each token. */
export function madeUpTokens(files: ModelFiles): string {
  const { vocabSize = 0 } = openModel(files).sizes;
  const symbols = Array.from({ length: vocabSize }, (_, id) =>
    id === 0 ? '<blk>' : String.fromCodePoint(0x4e00 + id),
  );
  return symbols.map((symbol, id) => `${symbol} ${id}\n`).join('');
}

export interface Golden {
  model: ModelFiles;
  /** (utterances, frames, num_features), padded. */
  features: Float32Array<ArrayBuffer>;
  lengths: number[];
  numFeatures: number;
  array: (name: string) => Promise<NpyArray>;
}

export async function readGolden(name: string): Promise<Golden> {
  const array = (file: string) => readArray(`golden/${name}/${file}.npy`);
  const { data: features, shape } = await array('features');
  const { data: lengths } = await array('feature_lens');
  return { model: await goldenModel(name), features, lengths: [...lengths], numFeatures: shape[2], array };
}

export const wakeWordsModel = () => readModelFiles(wakeWordsFolder);

export async function sample(name: string): Promise<Waveform> {
  return readWav(await readFile(`${wakeWordsFolder}/samples/${name}.wav`));
}

export async function sampleJson<Content>(name: string): Promise<Content> {
  return JSON.parse(await readFile(`${wakeWordsFolder}/samples/${name}.json`, 'utf8')) as Content;
}

/** Labels of the bundled clips, and what PyTorch heard in them. */
export interface ClipLabels {
  clips: { file: string; label: string; ctc_text?: string }[];
}

/** PyTorch's tokens and frames on clips without tail padding. */
export type WakeWordsGolden = Record<string, { ctc_text: string; ctc_tokens: number[]; ctc_frames: number[] }>;

export async function wakeWordsGolden(): Promise<WakeWordsGolden> {
  return JSON.parse(new TextDecoder().decode(await readFixture('wake-words/golden/golden.json'))) as WakeWordsGolden;
}
