/** Samples as protocols send them: float32, or whole numbers of 16 bits; little-endian, one channel. */
export const SAMPLE_FORMATS = ['f32le', 's16le'] as const;
export type SampleFormat = (typeof SAMPLE_FORMATS)[number];

const READERS: Readonly<Record<SampleFormat, { bytes: number; read: (view: DataView, offset: number) => number }>> = {
  f32le: { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  s16le: { bytes: 2, read: (view, offset) => view.getInt16(offset, true) / 32768 },
};

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
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    const { bytes: width, read } = this.#reader;
    const samples = new Float32Array(Math.floor(all.length / width));
    for (let i = 0; i < samples.length; i++) {
      samples[i] = read(view, i * width);
    }
    this.#rest = all.slice(samples.length * width);
    return samples;
  }
}
