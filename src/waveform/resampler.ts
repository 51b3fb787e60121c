import { RillError } from '../errors.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { floats, record, whole } from '../snapshot/fields.ts';
import { concatenated } from './arrays.ts';
import type { Waveform } from './waveform.ts';

const MIN_RATE = 1000;
const MAX_RATE = 768_000;
/** Zero crossings of the windowed sinc on each side, as Kaldi and sherpa-onnx set it. */
const NUM_ZEROS = 6;

/** What is between two calls. */
const TAIL = record({ consumed: whole(), produced: whole(), kept: floats() });

/**
 * The samples under a window that begins at `at`, weighted; what is before the first or behind the last counts as zero.
 * Even and odd taps are summed apart, which takes half as long as one sum that waits for itself.
 */
function sumOf(weights: Float64Array, samples: Float64Array, at: number): number {
  const { length } = weights;
  let [even, odd] = [0, 0];
  if (at >= 0 && at + length <= samples.length) {
    const pairs = length & ~1;
    for (let i = 0; i < pairs; i += 2) {
      even += weights[i] * samples[at + i];
      odd += weights[i + 1] * samples[at + i + 1];
    }
    return (pairs < length ? even + weights[pairs] * samples[at + pairs] : even) + odd;
  }
  for (let i = 0; i < length; i++) {
    const term = weights[i] * (samples[at + i] ?? 0);
    if (i & 1) {
      odd += term;
    } else {
      even += term;
    }
  }
  return even + odd;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * Streaming band-limited resampler: a Hann-windowed sinc, cut off at 99 % of the lower Nyquist frequency. The
 * arithmetic is that of Kaldi's `LinearResample` (feat/resample.h), which this model family was trained behind.
 * However a waveform is split, the output samples are the same.
 */
export class Resampler {
  /** Samples per second that it takes. */
  readonly inputRate: number;
  /** Samples per second that it gives. */
  readonly outputRate: number;
  /** Input samples, and output samples, after which the pattern of phases repeats. */
  readonly #inputUnit: number;
  readonly #outputUnit: number;
  /** Half the width of the window, in seconds. */
  readonly #halfWidth: number;
  /**
   * For each output phase: the first input sample of its window (relative to its unit), and the weights. Made as they
   * are needed: between odd rates there are many, and a short recording must not cost a table of megabytes.
   */
  readonly #phases: ({ first: number; weights: Float64Array } | undefined)[] = [];
  readonly #cutoff: number;
  /** Input samples kept, and the absolute index of the first of them. */
  #kept = new Float64Array(0);
  #keptFrom = 0;
  #consumed = 0;
  #produced = 0;

  /**
   * @param inputRate samples per second of the waveform given
   * @param outputRate samples per second wanted
   * @throws RillError `bad-audio` for a rate that is not a whole number from 1000 to 768000.
   */
  constructor(inputRate: number, outputRate: number) {
    for (const rate of [inputRate, outputRate]) {
      if (!Number.isInteger(rate) || rate < MIN_RATE || rate > MAX_RATE) {
        throw new RillError('bad-audio', {
          got: `a sample rate of ${rate} Hz`,
          expected: `a whole number from ${MIN_RATE} to ${MAX_RATE}`,
          remedy: 'Pass the rate that the audio was recorded at.',
        });
      }
    }
    this.inputRate = inputRate;
    this.outputRate = outputRate;
    const base = greatestCommonDivisor(inputRate, outputRate);
    this.#inputUnit = inputRate / base;
    this.#outputUnit = outputRate / base;
    this.#cutoff = 0.99 * 0.5 * Math.min(inputRate, outputRate);
    this.#halfWidth = NUM_ZEROS / (2 * this.#cutoff);
  }

  /**
   * Takes the next samples and returns the output samples that are complete.
   *
   * @param samples (n,) at the input rate
   * @returns (m,) at the output rate
   */
  accept(samples: Float32Array): Float32Array {
    if (this.inputRate === this.outputRate) {
      return samples.slice();
    }
    const kept = new Float64Array(this.#kept.length + samples.length);
    kept.set(this.#kept);
    kept.set(samples, this.#kept.length);
    this.#kept = kept;
    this.#consumed += samples.length;
    return this.#produce(this.#consumed);
  }

  /** Ends the waveform: returns the last output samples, with silence taken to follow, and starts afresh. */
  finish(): Float32Array {
    if (this.inputRate === this.outputRate) {
      return new Float32Array(0);
    }
    const rest = this.#produce(Infinity);
    this.#kept = new Float64Array(0);
    this.#keptFrom = this.#consumed = this.#produced = 0;
    return rest;
  }

  /** @internal Writes what the next output samples need of the input so far. */
  save(to: SnapshotWriter): void {
    // float32, as samples come.
    TAIL.write(to, { consumed: this.#consumed, produced: this.#produced, kept: Float32Array.from(this.#kept) });
  }

  /** @internal Goes on where another between the same rates was saved. @throws RillError `bad-snapshot`. */
  restore(from: SnapshotReader): void {
    const { consumed, produced, kept } = TAIL.read(from);
    const { first, weights } = this.#phase(produced % this.#outputUnit);
    this.#keptFrom = Math.min(Math.max(0, first + this.#unitStart(produced)), consumed);
    if (kept.length !== consumed - this.#keptFrom || kept.length > weights.length) {
      throw badSnapshot(`${kept.length} samples of ${consumed} kept for output sample ${produced}`, 'its window');
    }
    this.#consumed = consumed;
    this.#produced = produced;
    this.#kept = Float64Array.from(kept);
  }

  /** Output samples whose window ends before input sample `end`, and that lie within the waveform. */
  #produce(end: number): Float32Array {
    const within = Math.ceil((this.#consumed * this.#outputUnit) / this.#inputUnit);
    const output = new Float32Array(Math.max(0, within - this.#produced));
    for (let count = 0; ; count++, this.#produced++) {
      const { first, weights } = this.#phase(this.#produced % this.#outputUnit);
      const start = first + this.#unitStart(this.#produced);
      if (this.#produced >= within || start + weights.length > end) {
        this.#forgetBefore(start);
        return output.slice(0, count);
      }
      output[count] = sumOf(weights, this.#kept, start - this.#keptFrom);
    }
  }

  /** The first input sample of the unit that an output sample lies in. */
  #unitStart(produced: number): number {
    return Math.floor(produced / this.#outputUnit) * this.#inputUnit;
  }

  #phase(phase: number): { first: number; weights: Float64Array } {
    const known = this.#phases[phase];
    if (known) {
      return known;
    }
    const { inputRate } = this;
    const time = phase / this.outputRate;
    const first = Math.ceil((time - this.#halfWidth) * inputRate);
    const last = Math.floor((time + this.#halfWidth) * inputRate);
    const weights = Float64Array.from(
      { length: last - first + 1 },
      (_, i) => this.#response((first + i) / inputRate - time) / inputRate,
    );
    return (this.#phases[phase] = { first, weights });
  }

  /** The windowed sinc at a time in seconds. */
  #response(t: number): number {
    if (Math.abs(t) >= this.#halfWidth) {
      return 0;
    }
    const window = 0.5 * (1 + Math.cos(((2 * Math.PI * this.#cutoff) / NUM_ZEROS) * t));
    const sinc = t === 0 ? 2 * this.#cutoff : Math.sin(2 * Math.PI * this.#cutoff * t) / (Math.PI * t);
    return sinc * window;
  }

  #forgetBefore(index: number): void {
    const drop = Math.min(Math.max(0, index - this.#keptFrom), this.#kept.length);
    this.#kept = this.#kept.slice(drop);
    this.#keptFrom += drop;
  }
}

/**
 * A whole recording at another rate; as it is where it has that rate.
 *
 * @throws RillError `bad-audio` for a rate that is not a whole number from 1000 to 768000.
 */
export function resampled({ samples, sampleRate }: Waveform, rate: number): Waveform {
  if (sampleRate === rate) {
    return { samples, sampleRate };
  }
  const resampler = new Resampler(sampleRate, rate);
  return { samples: concatenated([resampler.accept(samples), resampler.finish()]), sampleRate: rate };
}
