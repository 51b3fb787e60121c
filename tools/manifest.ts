/** Lists of recordings with what is said in them, as people have them. */
import { createReadStream, existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { RillError, shown } from '../src/errors.ts';
import { readText, unreadable } from './files.ts';

/** A recording, or a part of one, and what is said in it. */
export interface Item {
  audio: string;
  text: string;
  /** Seconds from its start to what is meant, and how long that is; the whole by default. */
  start?: number;
  duration?: number;
}

/** Headings of lists: Rill's own, and Hugging Face's audiofolder. */
const HEADINGS: readonly string[] = ['audio,text', 'file_name,transcription'];
/** What a folder's list is called: audiofolder's name. */
export const FOLDER_LIST = 'metadata.csv';

/**
 * Reads a list: lines of `audio,text` (CSV), a folder with Hugging Face's `metadata.csv` (`file_name,transcription`), or
 * lhotse's cuts as icefall has them (`.jsonl`, `.jsonl.gz`). Paths are relative to the list.
 *
 * @throws RillError `bad-argument`.
 */
export async function readManifest(path: string): Promise<Item[]> {
  const about = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const list = about.isDirectory() ? join(path, FOLDER_LIST) : path;
  const items = /\.jsonl(\.gz)?$/.test(list) ? await readCuts(list) : await readCsv(list);
  if (items.length === 0) {
    throw new RillError('bad-argument', {
      got: `${list} without recordings`,
      expected: 'lines of audio,text',
      remedy: 'List at least one.',
    });
  }
  return items;
}

/** A line of two fields, either of which may stand in quotes, with quotes in it doubled. */
const TWO_FIELDS = /^(?:"((?:[^"]|"")*)"|([^",][^,]*)),\s*(?:"((?:[^"]|"")*)"|(.*))$/;

async function readCsv(path: string): Promise<Item[]> {
  const lines = (await readText(path)).split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }));
  return lines
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => {
      const fields = TWO_FIELDS.exec(line);
      if (!fields) {
        throw badLine(path, number, line, 'audio,text', 'Put a path, a comma and what is said on each line.');
      }
      const [, quotedAudio, audio, quotedText, text] = fields as (string | undefined)[];
      const field = (quoted: string | undefined, plain = '') => quoted?.replaceAll('""', '"') ?? plain.trim();
      return { audio: field(quotedAudio, audio), text: field(quotedText, text) };
    })
    .filter(({ audio, text }, index) => index > 0 || !HEADINGS.includes(`${audio},${text}`.toLowerCase()))
    .map(({ audio, text }) => ({ audio: resolve(dirname(path), audio), text }));
}

/** A cut of lhotse, as far as it is read. */
interface Cut {
  start?: unknown;
  duration?: unknown;
  supervisions?: readonly { text?: unknown }[];
  recording?: { sources?: readonly { source?: unknown }[] };
}

async function readCuts(path: string): Promise<Item[]> {
  const file = createReadStream(path);
  const input = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  file.on('error', (cause) => input.destroy(cause));
  const items: Item[] = [];
  let number = 0;
  try {
    for await (const line of createInterface({ input })) {
      number++;
      if (line.trim() !== '') {
        items.push(cutItem(path, number, line));
      }
    }
  } catch (cause) {
    throw cause instanceof RillError ? cause : unreadable(path, cause);
  }
  return items;
}

function cutItem(path: string, number: number, line: string): Item {
  const expected = 'a cut of lhotse: recording.sources, and a supervision with its text';
  const remedy = 'Write cuts whose audio is in files, one a line, each with one supervision.';
  let cut: Cut | null;
  try {
    cut = JSON.parse(line) as Cut | null;
  } catch {
    throw badLine(path, number, line, expected, remedy);
  }
  const { start = 0, duration, supervisions, recording } = cut ?? {};
  const source = recording?.sources?.[0]?.source;
  const text = supervisions?.[0]?.text;
  const hasTimes = typeof start === 'number' && (duration === undefined || typeof duration === 'number');
  if (typeof source !== 'string' || typeof text !== 'string' || supervisions?.length !== 1 || !hasTimes) {
    throw badLine(path, number, line, expected, remedy);
  }
  // lhotse's paths are relative to where it was run.
  const beside = resolve(dirname(path), source);
  return {
    audio: existsSync(beside) ? beside : resolve(source),
    text,
    start,
    duration,
  };
}

const badLine = (path: string, number: number, line: string, expected: string, remedy: string) =>
  new RillError('bad-argument', { got: `line ${number} of ${path}: ${shown(line.slice(0, 60))}`, expected, remedy });
