/** Recordings as people have them: WAV files, whatever ffmpeg reads, and what comes through a pipe. */
import { createReadStream, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { RillError } from '../src/errors.ts';
import { decodeWithFfmpeg } from '../src/node/ffmpeg.ts';
import {
  WAV_START,
  WAV_START_BYTES,
  latin,
  soundOf,
  wavSamples,
  type Bytes,
  type SoundHandlers,
} from '../src/node/sound.ts';
import { concatenated } from '../src/waveform/arrays.ts';
import { LONGEST_HEADER, WavStream, readWav } from '../src/waveform/wav.ts';
import type { Waveform } from '../src/waveform/waveform.ts';
import { readInput, unreadable, withFile } from './files.ts';
import { currentTerminal, note, printable } from './terminal.ts';

/** In the place of a path: what comes through stdin. */
export const STDIN = '-';

/** A recording's name, for people. */
export const nameOf = (path: string) => (path === STDIN ? 'stdin' : path);

/** Bytes of a WAV file that are read at once: some eight minutes at 16 kHz. A longer one comes in pieces. */
const LARGEST_WHOLE = 16 << 20;

/** Sound that is read as it is wanted. */
export interface Recording {
  /** Pieces of any length, all of one rate; can be read once. */
  audio: AsyncIterable<Waveform>;
  /** How long it is, as far as that is known by now. */
  readonly seconds: number | undefined;
  /** Nobody wants more of it. */
  close(): void;
}

/**
 * Opens a recording: a WAV file, anything else through ffmpeg. What is wrong with its beginning is told here.
 *
 * @param path or {@link STDIN}
 * @param rawRate of samples of 16 bits, little-endian, one channel, that come through stdin without a header
 * @throws RillError `bad-argument` when there is no such file, `bad-audio` with its name.
 */
export async function openRecording(path: string, { rawRate }: { rawRate?: number } = {}): Promise<Recording> {
  let seconds: number | undefined;
  const onDuration = (found: number) => {
    seconds = found;
  };
  const pieces = named(nameOf(path), await piecesOf(path, rawRate, onDuration));
  const first = await pieces.next();
  async function* audio() {
    if (!first.done) {
      yield first.value;
    }
    yield* pieces;
  }
  return {
    audio: audio(),
    get seconds() {
      return seconds;
    },
    close: () => {
      // What is under way may still fail; nobody is interested any more.
      pieces.return(undefined).catch(() => undefined);
    },
  };
}

/** A whole recording in memory. @throws RillError as {@link openRecording} does */
export async function readRecording(path: string): Promise<Waveform> {
  const { audio } = await openRecording(path);
  const pieces: Float32Array[] = [];
  let sampleRate = 0;
  for await (const piece of audio) {
    ({ sampleRate } = piece);
    pieces.push(piece.samples);
  }
  return { samples: concatenated(pieces), sampleRate };
}

async function piecesOf(
  path: string,
  rawRate: number | undefined,
  onDuration: (seconds: number) => void,
): Promise<AsyncGenerator<Waveform>> {
  if (path === STDIN) {
    const stdin: Bytes = currentTerminal().stdin;
    return rawRate === undefined
      ? soundOf(stdin, nameOf(path), handlersOf(nameOf(path), onDuration))
      : rawSamples(stdin, rawRate);
  }
  const about: Stats = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!about.isFile() && !about.isDirectory()) {
    return soundOf(createReadStream(path), path, handlersOf(path, onDuration));
  }
  return fromFile(path, onDuration);
}

/** Whom a recording tells of itself: of bytes that are missing its reader. */
const handlersOf = (name: string, onDuration: (seconds: number) => void): SoundHandlers => ({
  onDuration,
  onMissing: (bytes) => {
    noteMissing(name, bytes);
  },
});

async function* fromFile(path: string, onDuration: (seconds: number) => void): AsyncGenerator<Waveform> {
  const start = await withFile(path, (source) =>
    source.read(0, source.size > LARGEST_WHOLE ? LONGEST_HEADER : WAV_START_BYTES),
  );
  if (start.length > 0 && !WAV_START.test(latin(start.subarray(0, WAV_START_BYTES)))) {
    yield* wavSamples(decodeWithFfmpeg(path, path, onDuration), handlersOf(path, onDuration));
    return;
  }
  const seconds = start.length > WAV_START_BYTES ? statedSeconds(start) : undefined;
  if (seconds !== undefined) {
    onDuration(seconds);
    yield* wavSamples(createReadStream(path), handlersOf(path, onDuration));
    return;
  }
  const bytes = await readInput(path);
  let wave: Waveform;
  try {
    wave = readWav(bytes);
  } catch (error) {
    yield* otherwise(error, wavSamples(decodeWithFfmpeg(path, path, onDuration), handlersOf(path, onDuration)));
    return;
  }
  noteMissing(path, wave.missingBytes);
  onDuration(wave.samples.length / wave.sampleRate);
  yield wave;
}

/** How long a WAV file lasts; undefined where only the whole file tells, or how its samples are written. */
function statedSeconds(start: Uint8Array): number | undefined {
  const stream = new WavStream();
  try {
    stream.accept(start);
  } catch {
    // The whole file is refused for it, or goes to ffmpeg.
  }
  return stream.seconds;
}

/** A WAV file that is refused, such as a compressed one, may still be one that ffmpeg reads. */
async function* otherwise(refusal: unknown, pieces: AsyncGenerator<Waveform>): AsyncGenerator<Waveform> {
  const first = await pieces.next().catch(() => {
    throw refusal;
  });
  if (!first.done) {
    yield first.value;
  }
  yield* pieces;
}

/** Samples of 16 bits, little-endian, without a header. */
async function* rawSamples(bytes: Bytes, sampleRate: number): AsyncGenerator<Waveform> {
  let odd = Buffer.alloc(0);
  for await (const piece of bytes) {
    const joined = Buffer.concat([odd, piece]);
    const samples = Float32Array.from({ length: joined.length >> 1 }, (_, i) => joined.readInt16LE(2 * i) / 32768);
    odd = joined.subarray(2 * samples.length);
    yield { samples, sampleRate };
  }
}

/** Errors of a recording say which one. */
async function* named(name: string, pieces: AsyncGenerator<Waveform>): AsyncGenerator<Waveform> {
  try {
    yield* pieces;
  } catch (error) {
    if (error instanceof RillError && error.code === 'bad-audio' && !error.got.includes(name)) {
      throw new RillError(error.code, { ...error, got: `${error.got} in ${name}` }, { cause: error });
    }
    throw error;
  }
}

/** Nothing tells a placeholder of a stream from a file that was cut off: whoever knows the file shall. */
function noteMissing(name: string, bytes = 0): void {
  if (bytes > 0) {
    note(`${printable(name)}: ${bytes} bytes of sound fewer than its header states; streamed, or cut off`);
  }
}
