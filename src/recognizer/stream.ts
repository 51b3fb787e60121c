import { CtcGreedyDecoder, type DecodedToken } from '../decoder/ctc-greedy.ts';
import { KeywordReport, type Keyword, type KeywordHit } from '../decoder/keywords.ts';
import type { EncoderState } from '../encoder/state.ts';
import { RillError } from '../errors.ts';
import { Fbank } from '../features/fbank.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import { Resampler } from '../waveform/resampler.ts';

/** Samples as they come, at any rate. */
export interface WaveformChunk {
  /** (n,) in [-1, 1] */
  samples: Float32Array;
  /** Samples per second; the same for a whole stream. */
  sampleRate: number;
}

/** What a stream has cost so far. */
export interface StreamStats {
  /** Steps this stream took part in, and encoder frames they gave. */
  chunks: number;
  frames: number;
  /** Milliseconds from submit to result, summed over the steps (shared with the streams beside it). */
  computeMs: number;
  /** Seconds of audio decoded. */
  audioSeconds: number;
  /** Compute time over audio time; below 1 is faster than real time. */
  realTimeFactor: number;
}

/** One speaker: waveform in, tokens out. Made by {@link OnlineRecognizer.createStream}. */
export class OnlineStream {
  /** @internal the encoder's side of this stream */
  readonly state: EncoderState;
  readonly #model: Model;
  readonly #tailPadding: number;
  readonly #fbank: Fbank;
  readonly #secondsPerFrame: number;
  #resampler: Resampler | undefined;
  #decoder: CtcGreedyDecoder;
  #report: KeywordReport;
  #features: Float32Array<ArrayBuffer> = new Float32Array(0);
  #finished = false;
  #tokens: DecodedToken[] = [];
  #hits: KeywordHit[] = [];
  #epoch = 0;
  #chunks = 0;
  #frames = 0;
  #computeMs = 0;

  /** @internal */
  constructor(model: Model, state: EncoderState, keywords: readonly Keyword[], tailPaddingSeconds: number) {
    this.#model = model;
    this.state = state;
    this.#tailPadding = tailPaddingSeconds;
    const { features, blankId } = model.config;
    this.#fbank = new Fbank(features);
    this.#secondsPerFrame = (SUBSAMPLING_FACTOR * features.frameShiftMs) / 1000;
    this.#decoder = new CtcGreedyDecoder({ vocabSize: model.sizes.vocabSize ?? 0, blankId });
    this.#report = new KeywordReport(keywords);
  }

  /**
   * Takes the next samples. They are resampled and turned into features here; {@link OnlineRecognizer.decode}
   * does the rest.
   *
   * @throws RillError `bad-audio` when the rate changes or samples are not finite, `closed` after `inputFinished`.
   */
  acceptWaveform({ samples, sampleRate }: WaveformChunk): void {
    this.state.check();
    if (this.#finished) {
      throw new RillError('closed', {
        got: 'samples after inputFinished()',
        expected: 'none',
        remedy: 'Create a new stream, or reset this one, for the next recording.',
      });
    }
    const wanted = this.#model.config.features.sampleRate;
    this.#resampler ??= new Resampler(sampleRate, wanted);
    if (this.#resampler.inputRate !== sampleRate) {
      throw new RillError('bad-audio', {
        got: `${sampleRate} Hz in a stream of ${this.#resampler.inputRate} Hz`,
        expected: 'one sample rate for a whole stream',
        remedy: 'Create a new stream when the source changes.',
      });
    }
    const index = samples.findIndex((sample) => !Number.isFinite(sample));
    if (index >= 0) {
      throw new RillError('bad-audio', {
        got: `${samples[index]} at sample ${index}`,
        expected: 'finite samples in [-1, 1]',
        remedy: 'Check how the audio was decoded.',
      });
    }
    this.#append(this.#fbank.accept(this.#resampler.accept(samples)));
  }

  /** Ends the input: silence is added so that the last words come out, and the rest becomes ready. */
  inputFinished(): void {
    this.state.check();
    if (!this.#finished) {
      this.#finished = true;
      const rest = this.#resampler?.finish() ?? new Float32Array(0);
      this.#append(this.#fbank.accept(rest));
      const { sampleRate } = this.#model.config.features;
      this.#append(this.#fbank.accept(new Float32Array(Math.round(this.#tailPadding * sampleRate))));
      this.#append(this.#fbank.finish());
    }
  }

  /** Encoder frames that can be computed from the features there are. */
  get framesReady(): number {
    const rows = this.#features.length / this.#model.sizes.encoder.numFeatures;
    const context = this.state.started ? 0 : CONTEXT_FRAMES;
    return Math.max(0, Math.floor((rows - context) / SUBSAMPLING_FACTOR));
  }

  get isInputFinished(): boolean {
    return this.#finished;
  }

  /** Tokens decoded since the start or the last reset. */
  get tokens(): readonly DecodedToken[] {
    return this.#tokens;
  }

  /** Keywords heard since the start or the last reset. */
  get keywordHits(): readonly KeywordHit[] {
    return this.#hits;
  }

  get secondsPerFrame(): number {
    return this.#secondsPerFrame;
  }

  get stats(): StreamStats {
    const audioSeconds = this.#frames * this.#secondsPerFrame;
    return {
      chunks: this.#chunks,
      frames: this.#frames,
      computeMs: this.#computeMs,
      audioSeconds,
      realTimeFactor: audioSeconds > 0 ? this.#computeMs / 1000 / audioSeconds : 0,
    };
  }

  /** Looks for other keywords from now on. */
  setKeywords(keywords: readonly Keyword[]): void {
    this.#report = new KeywordReport(keywords);
  }

  /** @internal Counts resets, so that a result that was under way then is dropped. */
  get epoch(): number {
    return this.#epoch;
  }

  /** @internal The features of the next `frames` encoder frames, left where they are until {@link accept}. */
  nextFeatures(frames: number): Float32Array {
    return this.#features.subarray(
      0,
      this.#rowsFor(frames, this.state.started) * this.#model.sizes.encoder.numFeatures,
    );
  }

  /** @internal The result of a step over {@link nextFeatures}. */
  accept(frames: number, logProbs: Float32Array, first: boolean, computeMs: number): void {
    this.#features = this.#features.slice(this.#rowsFor(frames, !first) * this.#model.sizes.encoder.numFeatures);
    const tokens = this.#decoder.accept(logProbs);
    this.#tokens.push(...tokens);
    this.#hits.push(...this.#report.accept(tokens));
    this.#chunks++;
    this.#frames += frames;
    this.#computeMs += computeMs;
  }

  /** @internal Starts afresh: states, features, decoder and results. */
  reset(keywords: readonly Keyword[]): void {
    this.state.reset();
    this.#epoch++;
    this.#fbank.reset();
    this.#resampler = undefined;
    this.#features = new Float32Array(0);
    this.#finished = false;
    const { sizes, config } = this.#model;
    this.#decoder = new CtcGreedyDecoder({ vocabSize: sizes.vocabSize ?? 0, blankId: config.blankId });
    this.#report = new KeywordReport(keywords);
    this.#tokens = [];
    this.#hits = [];
  }

  /** Gives the stream's slot back. */
  dispose(): void {
    this.state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #rowsFor(frames: number, started: boolean): number {
    return SUBSAMPLING_FACTOR * frames + (started ? 0 : CONTEXT_FRAMES);
  }

  #append(features: Float32Array): void {
    if (features.length > 0) {
      const joined = new Float32Array(this.#features.length + features.length);
      joined.set(this.#features);
      joined.set(features, this.#features.length);
      this.#features = joined;
    }
  }
}
