/** Samples as protocols send them: float32, or whole numbers of 16 bits; little-endian, one channel. */
export const SAMPLE_FORMATS = ['f32le', 's16le'] as const;
export type SampleFormat = (typeof SAMPLE_FORMATS)[number];

const READERS: Readonly<
  Record<SampleFormat, { width: number; read: (bytes: ArrayBuffer) => Float32Array<ArrayBuffer> }>
> = {
  f32le: { width: 4, read: (bytes) => new Float32Array(bytes) },
  s16le: { width: 2, read: (bytes) => scaled(new Int16Array(bytes)) },
};

/** A power of two: the product is exact. */
const SCALE = 1 / 32768;

function scaled(whole: Int16Array): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(whole.length);
  for (let i = 0; i < samples.length; i++) {
    samples[i] = whole[i] * SCALE;
  }
  return samples;
}

/** Longer audio is handed over in pieces of so many seconds: each waits for room, and none holds up the other calls. */
const PIECE_SECONDS = 2;

/** Samples in pieces of at most two seconds. */
export function* inPieces(samples: Float32Array, sampleRate: number): Generator<Float32Array> {
  const length = Math.max(1, Math.round(PIECE_SECONDS * sampleRate));
  for (let at = 0; at < samples.length; at += length) {
    yield samples.subarray(at, at + length);
  }
}

/** Reads samples out of messages that may end in the middle of one. */
export class SampleReader {
  readonly #reader: (typeof READERS)[SampleFormat];
  /** The first bytes of a sample whose others are still to come. */
  #rest = new Uint8Array(0);

  constructor(format: SampleFormat) {
    this.#reader = READERS[format];
  }

  /** @returns the samples that these bytes complete, (samples,) in [-1, 1] */
  read(bytes: Uint8Array): Float32Array<ArrayBuffer> {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const { width, read } = this.#reader;
    const whole = all.length - (all.length % width);
    this.#rest = new Uint8Array(all.subarray(whole));
    // A copy: messages begin at any address.
    return read(new Uint8Array(all.subarray(0, whole)).buffer);
  }
}
