import { RillError } from '../errors.ts';

/** A piece of mono sound, at any rate: a whole recording, or a few milliseconds of a stream. */
export interface Waveform {
  /** (n,) in [-1, 1] */
  samples: Float32Array;
  /** Samples per second; the same for a whole stream. */
  sampleRate: number;
  /** When the last sample was captured, in milliseconds since the epoch; a {@link Microphone} tells it. */
  capturedAt?: number;
  /**
   * Bytes of sound that a file's header states and the file does not have; {@link readWav} tells it where there are any:
   * the file was streamed and its size is a placeholder, or it was cut off. Nothing in a file tells which.
   */
  missingBytes?: number;
}

/** Audio may exceed 1 by what a microphone's gain does, but not by what whole numbers do. */
const LOUDEST = 64;

/**
 * Refuses what is no piece of audio, as plain JavaScript may hand it in.
 *
 * @throws RillError `bad-audio`
 */
export function checkWaveform(chunk: Partial<Waveform> | null | undefined): void {
  const { samples, sampleRate } = chunk ?? {};
  if (!(samples instanceof Float32Array)) {
    throw new RillError('bad-audio', {
      got: samples === undefined ? `${kindOf(chunk)} in place of a piece of audio` : `samples in ${kindOf(samples)}`,
      expected: '{ samples, sampleRate }, with samples in a Float32Array',
      remedy:
        'Hand over { samples, sampleRate }: samples from -1 to 1 (those of 16 bits divided by 32768) and the rate that they were recorded at.',
    });
  }
  if (typeof sampleRate !== 'number') {
    throw new RillError('bad-audio', {
      got: `a sample rate that is ${kindOf(sampleRate)}`,
      expected: 'samples per second',
      remedy: 'Pass the rate that the audio was recorded at; a microphone’s chunks bring it.',
    });
  }
  const index = samples.findIndex((sample) => !(Math.abs(sample) <= LOUDEST));
  if (index >= 0) {
    throw new RillError('bad-audio', {
      got: `${samples[index]} at sample ${index}`,
      expected: 'finite samples in [-1, 1] in a Float32Array',
      remedy: 'Check how the audio was decoded; samples of 16 bits are to be divided by 32768.',
    });
  }
}

/** What a value is, for people: `a Float32Array`, `undefined`. */
function kindOf(value: unknown): string {
  return value === undefined || value === null
    ? String(value)
    : `a ${Object.prototype.toString.call(value).slice(8, -1)}`;
}
