/** Sound out of bytes that come piece by piece: a WAV file, anything else through ffmpeg. */
import { RillError } from '../errors.ts';
import { WavStream } from '../waveform/wav.ts';
import type { Waveform } from '../waveform/waveform.ts';
import { decodeWithFfmpeg } from './ffmpeg.ts';

/** Bytes as they come. */
export type Bytes = AsyncIterable<Uint8Array>;

/** What is found out about a recording on the way. */
export interface SoundHandlers {
  /** How many seconds it lasts, where its header tells. */
  onDuration?: (seconds: number) => void;
  /** Bytes of sound that the header states and that have not come. */
  onMissing?: (bytes: number) => void;
}

/** How a WAV file begins, each byte as a character. */
export const WAV_START = /^(RIFF|RF64|BW64)....WAVE$/s;
export const WAV_START_BYTES = 12;

/** Bytes as characters, for {@link WAV_START}. */
export const latin = (bytes: Uint8Array) => String.fromCharCode(...bytes);

/**
 * The samples of a recording, as its bytes come.
 *
 * @param name of the recording, for errors
 * @throws RillError `bad-audio` for what neither is WAV nor can be read by ffmpeg.
 */
export async function* soundOf(bytes: Bytes, name: string, handlers: SoundHandlers = {}): AsyncGenerator<Waveform> {
  const { start, all } = await peek(bytes, WAV_START_BYTES);
  const isWav = start.length === 0 || WAV_START.test(latin(start));
  yield* wavSamples(isWav ? all : decodeWithFfmpeg(all, name, handlers.onDuration), handlers);
}

/** The first bytes, and all of them once more. */
async function peek(bytes: Bytes, count: number): Promise<{ start: Uint8Array; all: Bytes }> {
  const pieces = bytes[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  while (held.length < count) {
    const next = await pieces.next();
    if (next.done) {
      break;
    }
    held = Buffer.concat([held, next.value]);
  }
  async function* all() {
    yield held;
    yield* { [Symbol.asyncIterator]: () => pieces };
  }
  return { start: held.subarray(0, count), all: all() };
}

/** The samples of a WAV stream, as they come. @throws RillError `bad-audio` */
export async function* wavSamples(bytes: Bytes, { onMissing }: SoundHandlers = {}): AsyncGenerator<Waveform> {
  const stream = new WavStream();
  let count = 0;
  for await (const piece of bytes) {
    const samples = stream.accept(piece);
    const { sampleRate } = stream;
    if (sampleRate !== undefined && samples.length > 0) {
      count += samples.length;
      yield { samples, sampleRate };
    }
    if (stream.isComplete) {
      break;
    }
  }
  const { missingBytes } = stream.finish();
  if (count === 0) {
    throw new RillError('bad-audio', {
      got: 'a recording without samples',
      expected: 'at least one sample',
      remedy: 'Check how it was made.',
    });
  }
  if (missingBytes > 0) {
    onMissing?.(missingBytes);
  }
}
