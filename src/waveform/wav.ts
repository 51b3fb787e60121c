import { RillError } from '../errors.ts';

/** A mono waveform. */
export interface Waveform {
  /** Samples in [-1, 1], (samples,). */
  samples: Float32Array<ArrayBuffer>;
  /** Samples per second. */
  sampleRate: number;
}

const PCM = 1;
const IEEE_FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** Data sizes that a program writes when it does not know the length beforehand. */
const UNKNOWN_SIZES: readonly number[] = [0xffffffff, 0x80000000, 0x7ffff000, 0x7fffffff];

type SampleReader = (view: DataView, offset: number) => number;

const PCM_READERS: Readonly<Record<number, SampleReader>> = {
  8: (view, offset) => (view.getUint8(offset) - 128) / 128,
  16: (view, offset) => view.getInt16(offset, true) / 32768,
  24: (view, offset) => (view.getUint16(offset, true) + view.getInt8(offset + 2) * 65536) / 8388608,
  32: (view, offset) => view.getInt32(offset, true) / 2147483648,
};

const FLOAT_READERS: Readonly<Record<number, SampleReader>> = {
  32: (view, offset) => view.getFloat32(offset, true),
  64: (view, offset) => view.getFloat64(offset, true),
};

function badWav(got: string, expected: string): RillError {
  return new RillError('bad-audio', {
    got,
    expected,
    remedy: 'Convert the recording to a PCM WAV file (for example: ffmpeg -i in.mp3 -ar 16000 -ac 1 out.wav).',
  });
}

/**
 * Reads a RIFF/WAVE file: PCM of 8, 16, 24 or 32 bits or IEEE float, any rate; several channels are averaged.
 *
 * @throws RillError `bad-audio`.
 */
export function readWav(file: Uint8Array | ArrayBuffer): Waveform {
  const bytes = file instanceof ArrayBuffer ? new Uint8Array(file) : file;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (offset: number) => String.fromCharCode(...bytes.subarray(offset, offset + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') {
    const start = bytes.length === 0 ? 'an empty file' : `a file that starts with ${JSON.stringify(tag(0))}`;
    throw badWav(start, 'a WAV file, which starts with "RIFF" and has "WAVE" at byte 8');
  }

  let format: { tag: number; channels: number; sampleRate: number; bits: number } | undefined;
  let offset = 12;
  while (offset + 8 <= bytes.length) {
    const id = tag(offset);
    const declared = view.getUint32(offset + 4, true);
    const start = offset + 8;
    const available = bytes.length - start;
    // Zero is one, too, where the header was never brought up to date.
    const isOpen = UNKNOWN_SIZES.includes(declared) || (declared === 0 && view.getUint32(4, true) < bytes.length - 8);
    const size = id === 'data' && isOpen ? available : declared;
    if (size > available) {
      throw badWav(
        `a ${JSON.stringify(id)} chunk of ${size} bytes with ${available} bytes left in the file`,
        'a whole file',
      );
    }
    if (id === 'fmt ') {
      if (size < 16) {
        throw badWav(`a "fmt " chunk of ${size} bytes`, 'at least 16');
      }
      const extensible = view.getUint16(start, true) === EXTENSIBLE && size >= 26;
      format = {
        tag: view.getUint16(extensible ? start + 24 : start, true),
        channels: view.getUint16(start + 2, true),
        sampleRate: view.getUint32(start + 4, true),
        bits: view.getUint16(start + 14, true),
      };
    } else if (id === 'data') {
      if (!format) {
        throw badWav('a "data" chunk before any "fmt " chunk', '"fmt " first');
      }
      return { samples: readSamples(view, start, size, format), sampleRate: format.sampleRate };
    }
    offset = start + size + (size % 2);
  }
  throw badWav(`a WAV file without a ${format ? '"data"' : '"fmt "'} chunk`, 'both a "fmt " and a "data" chunk');
}

function readSamples(
  view: DataView,
  start: number,
  size: number,
  { tag, channels, sampleRate, bits }: { tag: number; channels: number; sampleRate: number; bits: number },
): Float32Array<ArrayBuffer> {
  const read = tag === PCM ? PCM_READERS[bits] : tag === IEEE_FLOAT ? FLOAT_READERS[bits] : undefined;
  if (!read) {
    throw badWav(
      `WAV format ${tag} with ${bits} bits per sample`,
      'PCM (format 1) of 8, 16, 24 or 32 bits, or float (format 3)',
    );
  }
  if (channels < 1 || sampleRate < 1) {
    throw badWav(`${channels} channels at ${sampleRate} Hz`, 'at least one channel and a sample rate');
  }
  const width = bits / 8;
  const count = Math.floor(size / (width * channels));
  if (count === 0) {
    throw badWav('a WAV file without samples', 'at least one sample');
  }
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += read(view, start + (i * channels + channel) * width);
    }
    samples[i] = sum / channels;
  }
  return samples;
}
