import type { DecodedToken, Decoder, DecoderEnding } from '../decoder/decoder.ts';
import { KeywordReport, isKeywordDecoder, type Keyword, type KeywordHit } from '../decoder/keywords.ts';
import type { StateValues, StreamState } from '../encoder/state.ts';
import { RillError } from '../errors.ts';
import { Fbank } from '../features/fbank.ts';
import { secondsPerFrame } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import { checkWaveform, type Waveform } from '../waveform/waveform.ts';
import { Resampler } from '../waveform/resampler.ts';

/** What a stream has cost so far. */
export interface StreamStats {
  /** Steps this stream took part in. */
  chunks: number;
  /** Encoder frames that they gave. */
  frames: number;
  /** Milliseconds on the GPU, summed over the steps (shared with the streams beside it). */
  computeMs: number;
  /** Milliseconds from there until the results were read back. */
  readbackMs: number;
  /** Seconds of audio decoded. */
  audioSeconds: number;
  /** Compute and readback time over audio time; below 1 is faster than real time. */
  realTimeFactor: number;
}

/** @internal */
export function withRealTimeFactor(cost: Omit<StreamStats, 'realTimeFactor'>): StreamStats {
  const { computeMs, readbackMs, audioSeconds } = cost;
  return { ...cost, realTimeFactor: audioSeconds > 0 ? (computeMs + readbackMs) / 1000 / audioSeconds : 0 };
}

/** What a recognizer gives each of its streams. */
export interface StreamSetup {
  model: Model;
  state: StreamState;
  /**
   * A search that goes on from where another ended, or a fresh one. One that looks for keywords by itself gets the
   * stream's.
   */
  createDecoder: (before: DecoderEnding | undefined, keywords: readonly Keyword[]) => Decoder;
  keywords: readonly Keyword[];
  tailPaddingSeconds: number;
}

/** Values that come and go in order. Room is doubled, so that a value is copied a few times at most. */
class FloatQueue {
  #values = new Float32Array(1024);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  append(values: Float32Array): void {
    if (this.#end + values.length > this.#values.length) {
      const kept = this.peek(this.length);
      const room = Math.max(2 * (kept.length + values.length), this.#values.length >> 1);
      const target = room > this.#values.length ? new Float32Array(room) : this.#values;
      target.set(kept);
      this.#values = target;
      [this.#start, this.#end] = [0, kept.length];
    }
    this.#values.set(values, this.#end);
    this.#end += values.length;
  }

  /** `count` values behind the first `skip`, valid until the next append. */
  peek(count: number, skip = 0): Float32Array<ArrayBuffer> {
    return this.#values.subarray(this.#start + skip, this.#start + skip + count);
  }

  drop(count: number): void {
    this.#start += count;
  }
}

/** One speaker: waveform in, tokens out. Made by {@link OnlineRecognizer.createStream}. */
export class OnlineStream {
  #setup: StreamSetup;
  readonly #fbank: Fbank;
  #resampler: Resampler | undefined;
  readonly #features = new FloatQueue();
  /** @internal Called with new log-mel features, (frames, num_features), before they are decoded. */
  onFeatures?: (features: Float32Array) => void;
  /** @internal Called after each chunk, before the next one can come. */
  onAdvance?: () => void;
  /** @internal Chunks that are asked for and not taken yet: their steps wait for their turn. */
  chunksAsked = 0;
  #failure: { error: unknown } | undefined;
  /** Values at the start of the features that are in a step whose result is not there yet. */
  #underWay = 0;
  #finished = false;
  #epoch = 0;

  #decoder: Decoder;
  #keywords: readonly Keyword[];
  #report: KeywordReport;
  /** Tokens of the segment that the report has seen. */
  #reported = 0;
  #hits: KeywordHit[] = [];
  #segment = 0;
  /** Encoder frames before this segment. */
  #segmentStart = 0;

  #chunks = 0;
  #frames = 0;
  #computeMs = 0;
  #readbackMs = 0;

  /** @internal */
  constructor(setup: StreamSetup) {
    this.#setup = setup;
    this.#keywords = setup.keywords;
    try {
      this.#fbank = new Fbank(setup.model.config.features);
      this.#decoder = setup.createDecoder(undefined, setup.keywords);
      this.#report = new KeywordReport(setup.keywords);
    } catch (error) {
      setup.state.dispose();
      throw error;
    }
  }

  /** @internal the encoder's side of this stream */
  get state(): StreamState {
    return this.#setup.state;
  }

  /**
   * Takes the next samples. They are resampled and turned into features here; {@link OnlineRecognizer.decode}
   * does the rest.
   *
   * @throws RillError `bad-audio` for what is no audio, when the rate changes or samples are not finite, `closed` after
   * `inputFinished`.
   */
  acceptWaveform(chunk: Waveform): void {
    this.state.check();
    if (this.#finished) {
      throw new RillError('closed', {
        got: 'samples after inputFinished()',
        expected: 'none',
        remedy: 'Create a new stream, or restart this one, for the next recording.',
      });
    }
    checkWaveform(chunk);
    const { samples, sampleRate } = chunk;
    const resampler = this.#resampler ?? new Resampler(sampleRate, this.#setup.model.config.features.sampleRate);
    if (resampler.inputRate !== sampleRate) {
      throw new RillError('bad-audio', {
        got: `${sampleRate} Hz in a stream of ${resampler.inputRate} Hz`,
        expected: 'one sample rate for a whole stream',
        remedy: 'Create a new stream when the source changes.',
      });
    }
    this.#resampler = resampler;
    this.#addFeatures(this.#fbank.accept(resampler.accept(samples)));
  }

  /** Ends the input: silence is added so that the last words come out, and the rest becomes ready. */
  inputFinished(): void {
    this.state.check();
    if (!this.#finished) {
      this.#finished = true;
      const rest = this.#resampler?.finish() ?? new Float32Array(0);
      this.#addFeatures(this.#fbank.accept(rest));
      const { sampleRate } = this.#setup.model.config.features;
      this.#addFeatures(this.#fbank.accept(new Float32Array(Math.round(this.#setup.tailPaddingSeconds * sampleRate))));
      this.#addFeatures(this.#fbank.finish());
    }
  }

  /** Encoder frames that can be computed from the features there are. */
  get framesReady(): number {
    const rows = (this.#features.length - this.#underWay) / this.#setup.model.sizes.encoder.numFeatures;
    const context = this.state.started ? 0 : CONTEXT_FRAMES;
    return Math.max(0, Math.floor((rows - context) / SUBSAMPLING_FACTOR));
  }

  /** Seconds of audio that wait for a step. */
  get secondsWaiting(): number {
    return this.framesReady * this.secondsPerFrame;
  }

  /** @internal Whether a step over this stream is under way, or waits for its turn. */
  get isUnderWay(): boolean {
    return this.#underWay > 0 || this.chunksAsked > 0;
  }

  /** Whether {@link inputFinished} was called. */
  get isInputFinished(): boolean {
    return this.#finished;
  }

  /** @internal Tokens of this segment, frames counted from the start of the stream. */
  get tokens(): readonly DecodedToken[] {
    return this.#inStream(this.#decoder.tokens);
  }

  /** @internal How many of {@link tokens} no later audio can change. */
  get settled(): number {
    return this.#decoder.settled;
  }

  /** @internal Log-probability of {@link tokens}, as the search scores it. */
  get logProb(): number {
    return this.#decoder.logProb;
  }

  /** @internal Keywords heard in this segment. */
  get keywordHits(): readonly KeywordHit[] {
    return this.#hits;
  }

  /** @internal Segments before this one, and the encoder frame that this one starts with. */
  get segment(): { index: number; startFrame: number } {
    return { index: this.#segment, startFrame: this.#segmentStart };
  }

  /** @internal What endpoint rules look at, in encoder frames of this segment. */
  get heard(): { hasSpeech: boolean; trailingBlanks: number; frames: number } {
    const { tokens, trailingBlanks, frames } = this.#decoder;
    return { hasSpeech: tokens.length > 0, trailingBlanks, frames };
  }

  /** Seconds of one encoder frame. */
  get secondsPerFrame(): number {
    return secondsPerFrame(this.#setup.model.config);
  }

  /** What it has cost so far. */
  get stats(): StreamStats {
    return withRealTimeFactor({
      chunks: this.#chunks,
      frames: this.#frames,
      computeMs: this.#computeMs,
      readbackMs: this.#readbackMs,
      audioSeconds: this.#frames * this.secondsPerFrame,
    });
  }

  /** Hidden and cell states as they are now, for a look inside; reads them back from the GPU. */
  readStates(): Promise<StateValues> {
    return this.state.read();
  }

  /** @internal Looks for other keywords from now on; what was heard so far stays. */
  setKeywords(keywords: readonly Keyword[]): void {
    this.#keywords = keywords;
    this.#report = new KeywordReport(keywords);
    if (isKeywordDecoder(this.#decoder)) {
      this.#segmentStart += this.#decoder.frames;
      this.#decoder = this.#setup.createDecoder(undefined, keywords);
    }
  }

  /** @internal Another search, from the next segment on; at once where this one has heard nothing yet. */
  setSearch(createDecoder: StreamSetup['createDecoder']): void {
    this.#setup = { ...this.#setup, createDecoder };
    if (this.#decoder.frames === 0) {
      this.#decoder = createDecoder(this.#decoder.ending, this.#keywords);
    }
  }

  /** @internal Starts the next segment in the results alone: the search goes on in what it half heard. */
  clearHits(): void {
    this.#segment++;
    this.#hits = [];
  }

  /** @internal Counts restarts, so that a result that was under way then is dropped. */
  get epoch(): number {
    return this.#epoch;
  }

  /** @internal The features of the next `frames` encoder frames, for a step; kept until its result is there. */
  takeFeatures(frames: number): Float32Array {
    const context = this.state.started ? 0 : CONTEXT_FRAMES;
    const rows = SUBSAMPLING_FACTOR * frames + context;
    const features = this.#features.peek(rows * this.#setup.model.sizes.encoder.numFeatures, this.#underWay);
    this.#underWay += features.length;
    return features;
  }

  /** @internal @throws RillError `closed`; what its last step failed with, until it is restarted. */
  check(): void {
    this.state.check();
    if (this.#failure) {
      throw this.#failure.error;
    }
  }

  /** @internal Whether its last step, or its search, failed. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** @internal A step of this stream is lost. */
  fail(error: unknown, epoch: number): void {
    if (epoch === this.#epoch) {
      this.#failure = { error };
    }
  }

  /** @internal The step with the last features taken was never run: they are still there for another. */
  giveBack(values: number, epoch: number): void {
    if (epoch === this.#epoch) {
      this.#underWay = Math.max(0, this.#underWay - values);
    }
  }

  /** @internal The result of a step over features taken; of no use to a stream that was restarted meanwhile. */
  accept(
    values: number,
    epoch: number,
    frames: number,
    output: Float32Array,
    { computeMs, readbackMs }: { computeMs: number; readbackMs: number },
  ): void {
    if (epoch !== this.#epoch) {
      return;
    }
    this.#features.drop(values);
    this.#underWay -= values;
    this.#decoder.accept(output);
    this.#hits.push(...this.#newHits(this.#decoder.settled));
    this.#chunks++;
    this.#frames += frames;
    this.#computeMs += computeMs;
    this.#readbackMs += readbackMs;
  }

  /**
   * @internal Takes all tokens so far as they are: the segment is at its end.
   *
   * @param ended whether the audio is at its end as well, so that no keyword can follow
   */
  settle({ ended }: { ended: boolean }): void {
    if (ended && isKeywordDecoder(this.#decoder)) {
      this.#decoder.finish();
    }
    this.#hits.push(...this.#newHits(this.#decoder.tokens.length));
    if (ended) {
      this.#hits.push(...this.#report.finish());
    }
  }

  /** @internal Starts the next segment: the search goes on after its last tokens, the audio without a gap. */
  nextSegment(zeroEncoder: boolean): void {
    this.state.check();
    if (zeroEncoder) {
      this.state.zero();
    }
    this.#segmentStart += this.#decoder.frames;
    this.#segment++;
    this.#decoder = this.#setup.createDecoder(this.#decoder.ending, this.#keywords);
    // A keyword may begin in one segment and end in the next.
    this.#clearResults();
  }

  /** @internal Starts afresh: states, features, decoder and results. */
  restart(): void {
    this.state.reset();
    this.#epoch++;
    this.#fbank.reset();
    this.#resampler = undefined;
    this.#features.drop(this.#features.length);
    this.#underWay = 0;
    this.#failure = undefined;
    this.#finished = false;
    this.#segment = this.#segmentStart = 0;
    this.#decoder = this.#setup.createDecoder(undefined, this.#keywords);
    this.#report = new KeywordReport(this.#keywords);
    this.#clearResults();
  }

  /** Gives the stream's slot back. */
  dispose(): void {
    this.state.dispose();
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Keywords that the last frames brought: from a search for them, or in the tokens of any other. */
  #newHits(upTo: number): KeywordHit[] {
    if (isKeywordDecoder(this.#decoder)) {
      const start = this.#segmentStart;
      return this.#decoder
        .takeHits()
        .map((hit) => ({ ...hit, startFrame: start + hit.startFrame, endFrame: start + hit.endFrame }));
    }
    const { tokens, frames } = this.#decoder;
    const settled = this.#inStream(tokens.slice(this.#reported, upTo));
    this.#reported = Math.max(this.#reported, upTo);
    const isAll = this.#reported >= tokens.length;
    return this.#report.accept(settled, isAll ? this.#segmentStart + frames : undefined);
  }

  /** Tokens with frames counted from the start of the stream. */
  #inStream(tokens: readonly DecodedToken[]): DecodedToken[] {
    return tokens.map((token) => ({ ...token, frame: token.frame + this.#segmentStart }));
  }

  #addFeatures(features: Float32Array): void {
    this.#features.append(features);
    this.onFeatures?.(features);
  }

  #clearResults(): void {
    this.#reported = 0;
    this.#hits = [];
  }
}
