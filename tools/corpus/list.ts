/** The files of a corpus: a list as `rill eval` reads it, or all recordings of a folder. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { RillError } from '../../src/errors.ts';
import type { CorpusFile } from '../../src/server/corpus/corpus-file.ts';
import { isFolder, withFile } from '../files.ts';
import { FOLDER_LIST, readManifest, type Item } from '../manifest.ts';

/** What recordings are called; videos among them. */
const EXTENSIONS = /\.(wav|flac|mp3|ogg|oga|opus|m4a|aac|wma|aiff?|amr|au|webm|mp4|mkv|mov|avi|3gp)$/i;
/** Files that are looked at side by side: on a network most of it is waiting. */
const AT_ONCE = 32;
/** `RIFF size WAVE fmt size format channels rate`, then bytes a second. */
const WAV_HEADER = { bytes: 44, byteRateAt: 28 };
/** Of what is no WAV file: 128 kbit/s. */
const COMPRESSED_BYTES_PER_SECOND = 16_000;

/**
 * Reads a list, or walks a folder that has no list of its own.
 *
 * @param root the folder that their paths are to begin at; absolute paths without one
 * @param onFile called with the number of files that were looked at
 * @throws RillError `bad-argument` for a list that cannot be read, and for files outside of the root.
 */
export async function listCorpus(
  path: string,
  root: string | undefined,
  onFile: (done: number, total: number) => void,
): Promise<CorpusFile[]> {
  const isWalked = (await isFolder(path)) && !existsSync(join(path, FOLDER_LIST));
  const items = isWalked ? await walk(resolve(path)) : await readManifest(path);
  const seconds = await eachAtOnce(items, secondsOf, onFile);
  return items.map(({ audio, start, duration }, index) => ({
    index,
    audio: root === undefined ? audio : fromRoot(audio, root),
    start,
    duration,
    seconds: seconds[index],
  }));
}

/** A path as it begins at the root; undefined where it is not below it. */
export function belowRoot(path: string, root: string): string | undefined {
  const below = relative(resolve(root), resolve(path));
  return below.startsWith('..') || isAbsolute(below) ? undefined : below;
}

function fromRoot(path: string, root: string): string {
  const below = belowRoot(path, root);
  if (below === undefined) {
    throw new RillError('bad-argument', {
      got: `${path}, outside of the root ${root}`,
      expected: 'files below it',
      remedy: 'Name a root that holds all files, or leave it out where all machines have the same paths.',
    });
  }
  return below;
}

async function walk(folder: string): Promise<Pick<Item, 'audio' | 'start' | 'duration'>[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory() && EXTENSIONS.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  if (paths.length === 0) {
    throw new RillError('bad-argument', {
      got: `${folder} without recordings`,
      expected: 'files such as .wav, .flac or .mp3 in it or below',
      remedy: 'Check the folder, or write a list of what is to be transcribed.',
    });
  }
  return paths.sort().map((audio) => ({ audio }));
}

/** How long a recording probably is; 0 where it cannot be read, which whoever transcribes it will tell. */
async function secondsOf({ audio, duration }: Pick<Item, 'audio' | 'duration'>): Promise<number> {
  if (duration !== undefined) {
    return duration;
  }
  try {
    const { size } = await stat(audio);
    const header = await withFile(audio, (source) => source.read(0, WAV_HEADER.bytes));
    return size / (byteRate(header) ?? COMPRESSED_BYTES_PER_SECOND);
  } catch {
    return 0;
  }
}

function byteRate(header: Uint8Array): number | undefined {
  const text = String.fromCharCode(...header);
  if (header.length < WAV_HEADER.bytes || !/^RIFF....WAVEfmt /s.test(text)) {
    return undefined;
  }
  const rate = new DataView(header.buffer, header.byteOffset).getUint32(WAV_HEADER.byteRateAt, true);
  return rate > 0 ? rate : undefined;
}

async function eachAtOnce<Value, Result>(
  values: readonly Value[],
  work: (value: Value) => Promise<Result>,
  onDone: (done: number, total: number) => void,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < values.length; at += AT_ONCE) {
    results.push(...(await Promise.all(values.slice(at, at + AT_ONCE).map(work))));
    onDone(results.length, values.length);
  }
  return results;
}
