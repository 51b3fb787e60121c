import { RillError } from '../errors.ts';
import { decodeImaAdpcm } from './ima-adpcm.ts';
import type { Waveform } from './waveform.ts';

const PCM = 1;
const IEEE_FLOAT = 3;
const IMA_ADPCM = 17;
const EXTENSIBLE = 0xfffe;
/** RF64 and BW64 keep their sizes in a chunk of 64-bit numbers, and this in the place of them. */
const SIZE_ELSEWHERE = 0xffffffff;
/** A stream whose sound has not begun by then is something else. */
export const LONGEST_HEADER = 1 << 20;

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

/** How samples are written, as "fmt " states it. */
interface SampleFormat {
  tag: number;
  channels: number;
  sampleRate: number;
  /** Of one sample. */
  bits: number;
  /** From one frame (a sample of each channel) to the next; many programs get this one wrong. */
  blockAlign: number;
}

/** The "data" chunk. */
interface Sound {
  format: SampleFormat;
  /** Byte of the file that it starts at. */
  start: number;
  /** As the header states it; Infinity where it says only that it does not know. */
  declaredBytes: number;
}

/** Sound that comes piece by piece. */
interface OpenSound {
  layout: SampleLayout;
  sampleRate: number;
  /** Infinity where the header does not say. */
  remainingBytes: number;
  /** As the header states it; undefined where it does not. */
  seconds: number | undefined;
}

/** Where samples stand in their frames. */
interface SampleLayout {
  read: SampleReader;
  channels: number;
  /** From one sample to the next. */
  sampleBytes: number;
  /** From the start of that room to the sample itself. */
  skippedBytes: number;
}

/**
 * Reads a RIFF/WAVE file (also RF64 and BW64): PCM of 8, 16, 24 or 32 bits or IEEE float, any rate; several channels
 * are averaged. IMA ADPCM of one channel, too. Samples of 16 or 24 bits may stand in more bytes than they need, at either end. Sound that ends before
 * its stated size is read as far as it goes, see {@link Waveform.missingBytes}.
 *
 * @throws RillError `bad-audio`.
 */
export function readWav(file: Uint8Array | ArrayBuffer): Waveform {
  const bytes = file instanceof ArrayBuffer ? new Uint8Array(file) : file;
  const { format, start, declaredBytes } = findSound(bytes, true) ?? unfinishedHeader(bytes);
  const available = bytes.length - start;
  const isOpen = declaredBytes === 0 && !isChunks(bytes, start);
  const size = isOpen ? available : Math.min(declaredBytes, available);
  const sound = bytes.subarray(start, start + size);
  const samples = format.tag === IMA_ADPCM ? readAdpcm(sound, format) : readPlain(viewOf(sound), format);
  if (samples.length === 0) {
    throw badWav('a WAV file without samples', 'at least one sample');
  }
  const missingBytes = Number.isFinite(declaredBytes) ? Math.max(0, declaredBytes - size) : 0;
  return { samples, sampleRate: format.sampleRate, ...(missingBytes > 0 && { missingBytes }) };
}

/**
 * A WAV file that comes piece by piece, as through a pipe; its sound lasts as long as its header states, or until the
 * pieces end. Samples in more bytes than they need are refused: only the whole file tells at which end they stand.
 */
export class WavStream {
  #sound: OpenSound | undefined;
  /** Of the header, or of a frame that is not whole yet. */
  #pending = new Uint8Array(0);

  /** Samples per second; undefined until the header is there. */
  get sampleRate(): number | undefined {
    return this.#sound?.sampleRate;
  }

  /** Seconds that the header states; undefined until it is there, and where it does not say. */
  get seconds(): number | undefined {
    return this.#sound?.seconds;
  }

  /** Whether all the sound that the header states is there. */
  get isComplete(): boolean {
    return this.#sound?.remainingBytes === 0;
  }

  /**
   * @returns the samples that these bytes complete, (samples,) in [-1, 1]
   * @throws RillError `bad-audio`.
   */
  accept(bytes: Uint8Array): Float32Array<ArrayBuffer> {
    if (this.isComplete) {
      return new Float32Array(0);
    }
    const joined = joinBytes(this.#pending, bytes);
    this.#pending = joined;
    if (!this.#sound) {
      const found = findSound(joined, false);
      if (!found) {
        return new Float32Array(0);
      }
      const { format, start, declaredBytes } = found;
      // A size of zero was never brought up to date: through a pipe nobody sends a recording without sound.
      const remainingBytes = declaredBytes === 0 ? Infinity : declaredBytes;
      const layout = layoutOf(format);
      const frames = Math.floor(remainingBytes / (layout.channels * layout.sampleBytes));
      const seconds = frames === Infinity ? undefined : frames / format.sampleRate;
      this.#sound = { layout, sampleRate: format.sampleRate, remainingBytes, seconds };
      this.#pending = joined.subarray(start);
    }
    return this.#takeFrames(this.#sound);
  }

  /**
   * The end of the pieces.
   *
   * @returns bytes of sound that the header states and that have not come
   * @throws RillError `bad-audio` when no sound has begun.
   */
  finish(): { missingBytes: number } {
    const { remainingBytes } = this.#sound ?? unfinishedHeader(this.#pending);
    return { missingBytes: Number.isFinite(remainingBytes) ? remainingBytes : 0 };
  }

  #takeFrames(sound: OpenSound): Float32Array<ArrayBuffer> {
    const { layout } = sound;
    const frameBytes = layout.channels * layout.sampleBytes;
    const size = Math.min(this.#pending.length, sound.remainingBytes);
    const whole = size - (size % frameBytes);
    const samples = readSamples(viewOf(this.#pending.subarray(0, whole)), layout);
    sound.remainingBytes -= whole;
    if (sound.remainingBytes < frameBytes) {
      sound.remainingBytes = 0;
    }
    this.#pending = this.#pending.slice(whole);
    return samples;
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const tagAt = (bytes: Uint8Array, offset: number) => String.fromCharCode(...bytes.subarray(offset, offset + 4));

function joinBytes(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/**
 * Walks through the chunks in front of the sound.
 *
 * @param isWhole nothing comes behind these bytes
 * @returns undefined where the header goes on behind them
 */
function findSound(bytes: Uint8Array, isWhole: boolean): Sound | undefined {
  const view = viewOf(bytes);
  if (bytes.length < 12 && !isWhole) {
    return undefined;
  }
  if (bytes.length < 12 || !/^(RIFF|RF64|BW64)$/.test(tagAt(bytes, 0)) || tagAt(bytes, 8) !== 'WAVE') {
    const start = bytes.length === 0 ? 'an empty file' : `a file that starts with ${JSON.stringify(tagAt(bytes, 0))}`;
    throw badWav(start, 'a WAV file, which starts with "RIFF" and has "WAVE" at byte 8');
  }
  let format: SampleFormat | undefined;
  let longDataBytes = Infinity;
  let offset = 12;
  while (offset + 8 <= bytes.length) {
    const id = tagAt(bytes, offset);
    const size = view.getUint32(offset + 4, true);
    const start = offset + 8;
    const available = bytes.length - start;
    if (id === 'data') {
      if (!format) {
        throw badWav('a "data" chunk before any "fmt " chunk', '"fmt " first');
      }
      return { format, start, declaredBytes: size === SIZE_ELSEWHERE ? longDataBytes : size };
    }
    if (size > available && !isWhole && start + size <= LONGEST_HEADER) {
      return undefined;
    }
    if (size > available) {
      throw badWav(
        `a ${JSON.stringify(id)} chunk of ${size} bytes with ${available} bytes left in the file`,
        'a whole file',
      );
    }
    if (id === 'fmt ') {
      format = readFormat(view, start, size);
    } else if (id === 'ds64' && size >= 16) {
      longDataBytes = Number(view.getBigUint64(start + 8, true));
    }
    offset = start + size + (size % 2);
  }
  if (isWhole || offset > LONGEST_HEADER) {
    throw badWav(`a WAV file without a ${format ? '"data"' : '"fmt "'} chunk`, 'both a "fmt " and a "data" chunk');
  }
  return undefined;
}

/** The header has ended too early: what is wrong with it, now that nothing more comes. */
function unfinishedHeader(bytes: Uint8Array): never {
  findSound(bytes, true);
  throw badWav('a WAV file that ends in its header', 'sound');
}

function readFormat(view: DataView, start: number, size: number): SampleFormat {
  if (size < 16) {
    throw badWav(`a "fmt " chunk of ${size} bytes`, 'at least 16');
  }
  const isExtensible = view.getUint16(start, true) === EXTENSIBLE && size >= 26;
  const format = {
    tag: view.getUint16(isExtensible ? start + 24 : start, true),
    channels: view.getUint16(start + 2, true),
    sampleRate: view.getUint32(start + 4, true),
    blockAlign: view.getUint16(start + 12, true),
    bits: view.getUint16(start + 14, true),
  };
  if (format.channels < 1 || format.sampleRate < 1) {
    throw badWav(`${format.channels} channels at ${format.sampleRate} Hz`, 'at least one channel and a sample rate');
  }
  return format;
}

/** Whether there is nothing from there on but whole chunks, such as notes behind a recording. */
function isChunks(bytes: Uint8Array, start: number): boolean {
  const view = viewOf(bytes);
  let offset = start;
  while (offset + 8 <= bytes.length && /^[\x20-\x7e]{4}$/.test(tagAt(bytes, offset))) {
    const size = view.getUint32(offset + 4, true);
    offset += 8 + size + (size % 2);
  }
  return offset === bytes.length || offset === bytes.length + 1;
}

/** @param sound all of it, where it is there: only then samples in too large frames can be found */
function layoutOf({ tag, channels, bits, blockAlign }: SampleFormat, sound?: DataView): SampleLayout {
  const read = tag === PCM ? PCM_READERS[bits] : tag === IEEE_FLOAT ? FLOAT_READERS[bits] : undefined;
  if (!read) {
    throw badWav(
      `WAV format ${tag} with ${bits} bits per sample`,
      'PCM (format 1) of 8, 16, 24 or 32 bits, or float (format 3)',
    );
  }
  const width = bits / 8;
  const sampleBytes = blockAlign / channels;
  // A frame that its samples do not fit into is a mistake of the program that wrote it: it has no room to spare.
  if (sampleBytes <= width) {
    return { read, channels, sampleBytes: width, skippedBytes: 0 };
  }
  const isSigned = tag === PCM && bits > 8;
  const skippedBytes = sound && isSigned && sampleBytes <= 4 ? findPadding(sound, sampleBytes, width) : undefined;
  if (skippedBytes === undefined) {
    throw badWav(
      `frames of ${blockAlign} bytes for ${channels} channels of ${bits} bits${sound ? '' : ' in a stream'}`,
      `frames of ${width * channels} bytes${sound ? ', or whole numbers of up to 4 bytes' : '; only a whole file tells where samples stand in larger ones'}`,
    );
  }
  return { read, channels, sampleBytes, skippedBytes };
}

/**
 * Where samples stand in more bytes than they need: at the low end with their sign above, as ALSA has them (S24_LE),
 * or at the high end with zeros below, as Microsoft has them. Samples that were made of 16 bits may look like both; they
 * are taken as the first, since as the second none would be louder than 1/256 of full scale.
 *
 * @returns bytes in front of each sample, or undefined where it is neither
 */
function findPadding(sound: DataView, sampleBytes: number, width: number): number | undefined {
  const padding = sampleBytes - width;
  let isLow = Number.isInteger(sampleBytes);
  let isHigh = isLow;
  for (let at = 0; (isLow || isHigh) && at + sampleBytes <= sound.byteLength; at += sampleBytes) {
    const sign = sound.getInt8(at + width - 1) >> 7;
    for (let i = 0; i < padding; i++) {
      isLow &&= sound.getInt8(at + width + i) === sign;
      isHigh &&= sound.getInt8(at + i) === 0;
    }
  }
  return isLow ? 0 : isHigh ? padding : undefined;
}

const readPlain = (sound: DataView, format: SampleFormat) => readSamples(sound, layoutOf(format, sound));

function readAdpcm(sound: Uint8Array, { channels, bits, blockAlign }: SampleFormat): Float32Array<ArrayBuffer> {
  if (channels !== 1 || bits !== 4 || blockAlign <= 4) {
    throw badWav(
      `IMA ADPCM of ${channels} channels, ${bits} bits, in blocks of ${blockAlign} bytes`,
      'one channel, 4 bits',
    );
  }
  return decodeImaAdpcm(sound, blockAlign);
}

/** The frames that are there as a whole, channels averaged. */
function readSamples(
  sound: DataView,
  { read, channels, sampleBytes, skippedBytes }: SampleLayout,
): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(Math.floor(sound.byteLength / (sampleBytes * channels)));
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += read(sound, (i * channels + channel) * sampleBytes + skippedBytes);
    }
    samples[i] = sum / channels;
  }
  return samples;
}
