import { RillError } from '../errors.ts';
import { Fbank, type FbankOptions } from '../features/fbank.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { flag, floats, optional, record, whole } from '../snapshot/fields.ts';
import { concatenated } from '../waveform/arrays.ts';
import { Resampler } from '../waveform/resampler.ts';
import { checkWaveform, type Waveform } from '../waveform/waveform.ts';
import { FloatQueue } from './float-queue.ts';

/** What is between two calls, beside resampler and fbank. */
const STATE = record({ rate: optional(whole()), samples: whole(), finished: flag, waiting: floats() });

/** A stream's way from samples to features, and the features that wait for a step. */
export class StreamFeatures {
  readonly #options: FbankOptions;
  readonly #fbank: Fbank;
  readonly #waiting = new FloatQueue();
  #resampler: Resampler | undefined;
  #samples = 0;
  #finished = false;
  /** Values at the start of those that wait that are in a step whose result is not there yet. */
  #underWay = 0;

  /** @throws RillError `bad-argument` as {@link Fbank} does. */
  constructor(options: FbankOptions) {
    this.#options = options;
    this.#fbank = new Fbank(options);
  }

  /** Samples taken, at their own rate. */
  get samples(): number {
    return this.#samples;
  }

  /** Whether the input has ended. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Feature frames that wait for a step. */
  get rows(): number {
    return (this.#waiting.length - this.#underWay) / this.#options.numMelBins;
  }

  /** Whether a step over some is under way. */
  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /**
   * Takes the next samples.
   *
   * @returns the features that they complete, (frames, num_features)
   * @throws RillError `bad-audio` for what is no audio, or at another rate than what came before, `closed` after the end.
   */
  accept(chunk: Waveform): Float32Array {
    if (this.#finished) {
      throw new RillError('closed', {
        got: 'samples after inputFinished()',
        expected: 'none',
        remedy: 'Create a new stream, or restart this one, for the next recording.',
      });
    }
    checkWaveform(chunk);
    const { samples, sampleRate } = chunk;
    const resampler = this.#resampler ?? new Resampler(sampleRate, this.#options.sampleRate);
    if (resampler.inputRate !== sampleRate) {
      throw new RillError('bad-audio', {
        got: `${sampleRate} Hz in a stream of ${resampler.inputRate} Hz`,
        expected: 'one sample rate for a whole stream',
        remedy: 'Create a new stream when the source changes.',
      });
    }
    this.#resampler = resampler;
    this.#samples += samples.length;
    return this.#append(this.#fbank.accept(resampler.accept(samples)));
  }

  /** Ends the input with some silence. @returns the last features */
  finish(silenceSeconds: number): Float32Array {
    this.#finished = true;
    const rest = this.#resampler?.finish() ?? new Float32Array(0);
    const silence = new Float32Array(Math.round(silenceSeconds * this.#options.sampleRate));
    return this.#append(concatenated([this.#fbank.accept(rest), this.#fbank.accept(silence), this.#fbank.finish()]));
  }

  /** The next feature frames, for a step; kept until its result is there. */
  take(rows: number): Float32Array {
    const features = this.#waiting.peek(rows * this.#options.numMelBins, this.#underWay);
    this.#underWay += features.length;
    return features;
  }

  /** The step with the last values taken was never run: they wait for another. */
  giveBack(values: number): void {
    this.#underWay = Math.max(0, this.#underWay - values);
  }

  /** The result of a step over the first values taken is there. */
  drop(values: number): void {
    this.#waiting.drop(values);
    this.#underWay -= values;
  }

  /** Starts afresh. */
  restart(): void {
    this.#fbank.reset();
    this.#resampler = undefined;
    this.#waiting.drop(this.#waiting.length);
    this.#samples = this.#underWay = 0;
    this.#finished = false;
  }

  /** Writes all of it, while no step is under way. */
  save(to: SnapshotWriter): void {
    STATE.write(to, {
      rate: this.#resampler?.inputRate,
      samples: this.#samples,
      finished: this.#finished,
      waiting: this.#waiting.peek(this.#waiting.length),
    });
    this.#resampler?.save(to);
    this.#fbank.save(to);
  }

  /** Goes on where another with the same options was saved. @throws RillError `bad-snapshot`. */
  restore(from: SnapshotReader): void {
    const { rate, samples, finished, waiting } = STATE.read(from);
    if (waiting.length % this.#options.numMelBins !== 0) {
      throw badSnapshot(`${waiting.length} values of features`, `frames of ${this.#options.numMelBins}`);
    }
    this.#resampler = rate === undefined ? undefined : restoredResampler(rate, this.#options.sampleRate, from);
    this.#fbank.restore(from);
    this.#samples = samples;
    this.#finished = finished;
    this.#waiting.append(waiting);
  }

  #append(features: Float32Array): Float32Array {
    this.#waiting.append(features);
    return features;
  }
}

function restoredResampler(inputRate: number, outputRate: number, from: SnapshotReader): Resampler {
  let resampler;
  try {
    resampler = new Resampler(inputRate, outputRate);
  } catch {
    throw badSnapshot(`a sample rate of ${inputRate} Hz in a snapshot`, 'one that audio has');
  }
  resampler.restore(from);
  return resampler;
}
