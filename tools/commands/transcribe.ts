import { basename, extname, join } from 'node:path';
import { isFolder, writeOutput } from '../files.ts';
import { nameOf } from '../recordings.ts';
import { note, print, printable } from '../terminal.ts';
import {
  TRANSCRIPT_FORMATS,
  formatTranscript,
  type TranscriptFormat,
} from '../../src/recognizer/transcript-formats.ts';
import { parse, usageError, type Command, type Options } from './arguments.ts';
import { RECORDING_OPTIONS, eachRecording } from './audio.ts';
import { SEARCH_OPTIONS, readSearchOptions } from './search-options.ts';

const usage = 'transcribe <model dir> <audio…> [options]';

const OPTIONS = {
  format: {
    type: 'string',
    value: TRANSCRIPT_FORMATS.join('|'),
    help: 'what to write of each recording as it ends',
    otherwise: 'words with their times as they are heard, then the text; with -o by its name, else txt',
  },
  output: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    help: 'a file for all, or a folder for one file of each',
    otherwise: 'stdout',
  },
  json: { type: 'boolean', help: 'the same as --format json: an object a line' },
  ...SEARCH_OPTIONS,
  ...RECORDING_OPTIONS,
} as const satisfies Options;

/** `  3.72   4.28  word`: seconds of a word's first and last token. */
export const timedLine = (start: number, end: number, text: string) =>
  `${start.toFixed(2).padStart(7)} ${end.toFixed(2).padStart(7)}  ${text}`;

interface FormatValues {
  format?: string;
  json?: boolean;
  output?: string;
}

/** The format to write, if it is not lines for people. */
function chooseFormat({ format, json, output }: FormatValues): TranscriptFormat | undefined {
  const known = (name: string | undefined) => TRANSCRIPT_FORMATS.find((each) => each === name);
  if (format !== undefined && known(format) === undefined) {
    throw usageError(`--format ${format} (it must be ${TRANSCRIPT_FORMATS.join(', ')})`, { usage });
  }
  if (json && format !== undefined && format !== 'json') {
    throw usageError(`--json and --format ${format}`, { usage });
  }
  const named = json ? 'json' : known(format);
  return named ?? (output === undefined ? undefined : (known(extname(output).slice(1)) ?? 'txt'));
}

/** Where transcripts go as they come. */
interface Output {
  write(path: string, text: string): void | Promise<void>;
  /** All recordings are done. */
  end(): Promise<void>;
}

const STDOUT: Output = { write: (_, text) => print(text.replace(/\n$/, '')), end: async () => undefined };

/** One file for all, written once all are there. */
function oneFile(file: string): Output {
  const texts: string[] = [];
  return {
    write: (_, text) => void texts.push(text),
    end: async () => {
      if (texts.length > 0) {
        await writeOutput(file, new TextEncoder().encode(texts.join('')));
        note(`wrote ${file}`);
      }
    },
  };
}

/** A file for each recording, named like it. */
function filePerRecording(folder: string, paths: readonly string[], format: TranscriptFormat): Output {
  const stem = (path: string) => basename(nameOf(path), extname(path));
  const stems = paths.map(stem);
  const twice = stems.find((name, i) => stems.indexOf(name) !== i);
  if (twice !== undefined) {
    throw usageError(`two recordings that would both be ${twice}.${format}`, { usage });
  }
  return {
    write: async (path, text) => {
      const file = join(folder, `${stem(path)}.${format}`);
      await writeOutput(file, new TextEncoder().encode(text));
      note(`wrote ${file}`);
    },
    end: async () => undefined,
  };
}

async function chooseOutput(
  output: string | undefined,
  paths: readonly string[],
  format: TranscriptFormat | undefined,
): Promise<Output> {
  if (output !== undefined && format !== undefined && (output.endsWith('/') || (await isFolder(output)))) {
    return filePerRecording(output, paths, format);
  }
  if ((format === 'srt' || format === 'vtt') && paths.length > 1) {
    throw usageError(`${paths.length} recordings for one ${format} (name a folder with -o)`, { usage });
  }
  return output === undefined ? STDOUT : oneFile(output);
}

export const transcribe: Command = {
  usage,
  summary:
    'print the words of recordings (WAV, anything ffmpeg reads, or - for stdin) with their times, as they are heard',
  options: OPTIONS,
  example: 'transcribe weights/wake-words talk.mp4 --format srt -o talk.srt',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const format = chooseFormat(values);
    const output = await chooseOutput(values.output, positionals.slice(1), format);
    const { method, options } = await readSearchOptions({ usage }, values);
    const status = await eachRecording({ usage }, positionals, values, {
      run: (runtime, input, onEvent) =>
        runtime.run('transcribe', { ...input, options: { decodingMethod: method, ...options } }, onEvent),
      onEvent: (event) => {
        if (event.type === 'word' && format === undefined) {
          print(timedLine(event.word.start, event.word.end, printable(event.word.word)));
        }
      },
      onResult: async (path, transcript) => {
        if (format === undefined) {
          print(`${nameOf(path)}: ${printable(transcript.text)}`);
        } else {
          await output.write(path, formatTranscript(format, path, transcript));
        }
        const { audioSeconds, realTimeFactor } = transcript.stats;
        note(`${audioSeconds.toFixed(2)} s, real-time factor ${realTimeFactor.toFixed(3)}`);
      },
    });
    await output.end();
    return status;
  },
};
