import { concatenated } from '../waveform/arrays.ts';
import FFT from 'fft.js';
import { RillError } from '../errors.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { floats, record, whole } from '../snapshot/fields.ts';

/** Options of Kaldi's `compute-fbank-feats`, with the defaults of this model family. */
export interface FbankOptions {
  /** Samples per second that the features are made from. */
  sampleRate: number;
  /** Mel bins: the width of a feature frame. */
  numMelBins: number;
  /** Milliseconds of a frame; 25 by default. */
  frameLengthMs: number;
  /** Milliseconds from one frame to the next; 10 by default. */
  frameShiftMs: number;
  /** Window that a frame is multiplied by; `povey` by default. */
  window: 'povey' | 'hanning' | 'hamming' | 'rectangular';
  /** Part of each sample that is taken from the next; 0.97 by default. */
  preemphasis: number;
  /** Whether the mean of each frame is taken away first; true by default. */
  removeDcOffset: boolean;
  /** Hz. */
  lowFreq: number;
  /** Hz; zero or less counts down from the Nyquist frequency. */
  highFreq: number;
  /** False: frame t is centred on its shift and the ends are mirrored. True: only whole frames. */
  snipEdges: boolean;
  /** Power spectrum, otherwise magnitude. */
  usePower: boolean;
}

export const FBANK_DEFAULTS: Readonly<FbankOptions> = {
  sampleRate: 16000,
  numMelBins: 80,
  frameLengthMs: 25,
  frameShiftMs: 10,
  window: 'povey',
  preemphasis: 0.97,
  removeDcOffset: true,
  lowFreq: 20,
  highFreq: -400,
  snipEdges: false,
  usePower: true,
};

/** Samples from one frame to the next: whole ones, as Kaldi counts them. */
export const frameShiftOf = ({ sampleRate, frameShiftMs }: FbankOptions) =>
  Math.floor((sampleRate * frameShiftMs) / 1000);

/** Energies are floored at float32's epsilon before the logarithm, as in Kaldi. */
const LOG_FLOOR = 2 ** -23;

const WINDOWS: Readonly<Record<FbankOptions['window'], (phase: number) => number>> = {
  povey: (phase) => (0.5 - 0.5 * Math.cos(phase)) ** 0.85,
  hanning: (phase) => 0.5 - 0.5 * Math.cos(phase),
  hamming: (phase) => 0.54 - 0.46 * Math.cos(phase),
  rectangular: () => 1,
};

/** What is between two calls; all else follows from the number of samples. */
const TAIL = record({ received: whole(), kept: floats() });

const mel = (hertz: number) => 1127 * Math.log(1 + hertz / 700);

/** Triangular filters, even on the mel scale: for each bin its first FFT bin and weights (feat/mel-computations.cc). */
function melFilters({ sampleRate, numMelBins, lowFreq, highFreq }: FbankOptions, fftSize: number) {
  const nyquist = sampleRate / 2;
  const high = highFreq > 0 ? highFreq : nyquist + highFreq;
  if (!(lowFreq >= 0 && lowFreq < high && high <= nyquist)) {
    throw new RillError('bad-argument', {
      got: `mel bins from ${lowFreq} to ${high} Hz`,
      expected: `a band between 0 and ${nyquist} Hz`,
      remedy: 'Check low_freq, high_freq and sample_rate of the features.',
    });
  }
  const lowMel = mel(lowFreq);
  const step = (mel(high) - lowMel) / (numMelBins + 1);
  const mels = Float64Array.from({ length: fftSize / 2 }, (_, k) => mel((k * sampleRate) / fftSize));
  return Array.from({ length: numMelBins }, (_, bin) => {
    const [left, centre, right] = [0, 1, 2].map((i) => lowMel + (bin + i) * step);
    const weights: number[] = [];
    let first = 0;
    for (const [k, at] of mels.entries()) {
      if (at > left && at < right) {
        first = weights.length === 0 ? k : first;
        weights.push(at <= centre ? (at - left) / (centre - left) : (right - at) / (right - centre));
      }
    }
    return { first, weights: Float64Array.from(weights) };
  });
}

/**
 * Streaming log-mel filterbank features, compatible with Kaldi's (feat/feature-fbank.cc, dither 0). However a
 * waveform is split, the frames are the same, byte for byte. Arithmetic is float64, results float32.
 */
export class Fbank {
  /** What it computes. */
  readonly options: Readonly<FbankOptions>;
  readonly #frameLength: number;
  readonly #frameShift: number;
  readonly #fft: FFT;
  readonly #window: Float64Array;
  readonly #filters: readonly { first: number; weights: Float64Array }[];
  /** Work space: one windowed frame, padded to the FFT's size, and its spectrum (re, im interleaved). */
  readonly #frame: number[];
  readonly #spectrum: number[];
  /** Samples still needed, and the absolute index of the first of them. */
  #kept = new Float32Array(0);
  #keptFrom = 0;
  #received = 0;
  #frames = 0;

  /** @throws RillError `bad-argument` for a band outside 0 … Nyquist, or frames of fewer than 2 samples. */
  constructor(options: Partial<FbankOptions> = {}) {
    this.options = { ...FBANK_DEFAULTS, ...options };
    const { sampleRate, frameLengthMs, window } = this.options;
    this.#frameLength = Math.floor((sampleRate * frameLengthMs) / 1000);
    this.#frameShift = frameShiftOf(this.options);
    if (!(this.#frameLength >= 2 && this.#frameShift >= 1)) {
      throw new RillError('bad-argument', {
        got: `frames of ${this.#frameLength} samples every ${this.#frameShift}`,
        expected: 'at least 2 samples, at least 1 apart',
        remedy: 'Check frameLengthMs, frameShiftMs and sampleRate (frame_length_ms and so on in a config.json).',
      });
    }
    const size = 2 ** Math.ceil(Math.log2(this.#frameLength));
    this.#fft = new FFT(size);
    this.#frame = new Array<number>(size).fill(0);
    this.#spectrum = this.#fft.createComplexArray() as number[];
    const phaseStep = (2 * Math.PI) / (this.#frameLength - 1);
    this.#window = Float64Array.from({ length: this.#frameLength }, (_, i) => WINDOWS[window](i * phaseStep));
    this.#filters = melFilters(this.options, size);
  }

  /**
   * Takes the next samples and returns the frames that are complete.
   *
   * @param samples (n,) in [-1, 1] at `options.sampleRate`
   * @returns (frames, numMelBins), row-major
   */
  accept(samples: Float32Array): Float32Array<ArrayBuffer> {
    const kept = new Float32Array(this.#kept.length + samples.length);
    kept.set(this.#kept);
    kept.set(samples, this.#kept.length);
    this.#kept = kept;
    this.#received += samples.length;
    return this.#emit(this.#completeFrames);
  }

  /** Ends the waveform: returns the last frames, (frames, numMelBins), and starts afresh. */
  finish(): Float32Array<ArrayBuffer> {
    const shift = this.#frameShift;
    const whole = Math.floor((this.#received - this.#frameLength) / shift) + 1;
    const rounded = Math.floor((this.#received + shift / 2) / shift);
    const rest = this.#emit(this.options.snipEdges ? Math.max(0, whole) : rounded);
    this.reset();
    return rest;
  }

  /** @internal Writes what the next frames need of the samples so far. */
  save(to: SnapshotWriter): void {
    TAIL.write(to, { received: this.#received, kept: this.#kept });
  }

  /** @internal Goes on where another with the same options was saved. @throws RillError `bad-snapshot`. */
  restore(from: SnapshotReader): void {
    const { received, kept } = TAIL.read(from);
    this.#received = received;
    this.#frames = this.#completeFrames;
    this.#keptFrom = Math.min(Math.max(0, this.#frameStart(this.#frames) - 1), received);
    this.#kept = kept;
    if (kept.length !== received - this.#keptFrom) {
      throw badSnapshot(`${kept.length} samples of ${received} kept`, `${received - this.#keptFrom}`);
    }
  }

  /** Forgets all samples. */
  reset(): void {
    this.#kept = new Float32Array(0);
    this.#keptFrom = this.#received = this.#frames = 0;
  }

  /** A frame is complete once all of its samples are there: no mirroring at the end is needed then. */
  get #completeFrames(): number {
    const shifted = this.#received - this.#frameStart(0) - this.#frameLength;
    return shifted < 0 ? 0 : Math.floor(shifted / this.#frameShift) + 1;
  }

  #frameStart(frame: number): number {
    const centred = Math.floor(this.#frameShift / 2) - Math.floor(this.#frameLength / 2);
    return frame * this.#frameShift + (this.options.snipEdges ? 0 : centred);
  }

  /** Frames up to (not including) `end`, and forgets the samples that no later frame needs. */
  #emit(end: number): Float32Array<ArrayBuffer> {
    const { numMelBins } = this.options;
    const first = this.#frames;
    const output = new Float32Array(Math.max(0, end - first) * numMelBins);
    for (; this.#frames < end; this.#frames++) {
      this.#compute(this.#frames, output.subarray((this.#frames - first) * numMelBins));
    }
    // One more: an odd frame, mirrored at the end, may reach back to the sample before its own.
    const needed = this.#frameStart(this.#frames) - 1;
    const drop = Math.min(Math.max(0, needed - this.#keptFrom), this.#kept.length);
    this.#kept = this.#kept.slice(drop);
    this.#keptFrom += drop;
    return output;
  }

  /** Sample `index` of the waveform, mirrored at its ends. */
  #sample(index: number): number {
    let i = index;
    while (i < 0 || i >= this.#received) {
      i = i < 0 ? -i - 1 : 2 * this.#received - 1 - i;
    }
    return this.#kept[i - this.#keptFrom];
  }

  #compute(index: number, output: Float32Array): void {
    const { preemphasis, removeDcOffset, usePower } = this.options;
    const frame = this.#frame;
    const length = this.#frameLength;
    const start = this.#frameStart(index);
    let sum = 0;
    for (let i = 0; i < length; i++) {
      frame[i] = this.#sample(start + i);
      sum += frame[i];
    }
    const offset = removeDcOffset ? sum / length : 0;
    let previous = frame[0] - offset;
    for (let i = 0; i < length; i++) {
      const sample = frame[i] - offset;
      frame[i] = (sample - preemphasis * previous) * this.#window[i];
      previous = sample;
    }
    this.#fft.realTransform(this.#spectrum, frame);
    const spectrum = this.#spectrum;
    this.#filters.forEach(({ first, weights }, bin) => {
      let energy = 0;
      for (let i = 0; i < weights.length; i++) {
        const re = spectrum[2 * (first + i)];
        const im = spectrum[2 * (first + i) + 1];
        const power = re * re + im * im;
        energy += weights[i] * (usePower ? power : Math.sqrt(power));
      }
      output[bin] = Math.log(Math.max(energy, LOG_FLOOR));
    });
  }
}

/** The features of a whole waveform, (frames, numMelBins). */
export function fbank(samples: Float32Array, options: Partial<FbankOptions> = {}): Float32Array<ArrayBuffer> {
  const stream = new Fbank(options);
  return concatenated([stream.accept(samples), stream.finish()]);
}
