import type { DecodedToken, Decoder, DecoderEnding } from '../decoder/decoder.ts';
import { KeywordReport, hitField, isKeywordDecoder, type Keyword, type KeywordHit } from '../decoder/keywords.ts';
import { savedStateField, type StateValues, type StreamState } from '../encoder/state.ts';
import { secondsPerFrame } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { list, real, record, text, whole } from '../snapshot/fields.ts';
import type { Waveform } from '../waveform/waveform.ts';
import { StreamFeatures } from './stream-features.ts';

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

/** Makes a stream's searches, one for each segment. */
export interface StreamSearch {
  /** The text of a hotwords file, where they favour others than the recognizer's. */
  hotwords?: string;
  /**
   * A search that goes on from where another ended, or a fresh one. One that looks for keywords by itself gets the
   * stream's.
   */
  createDecoder: (before: DecoderEnding | undefined, keywords: readonly Keyword[]) => Decoder;
}

/** Keywords of a stream. */
export interface StreamKeywords {
  /** Their text, where they are others than the listener's. */
  text?: string;
  list: readonly Keyword[];
}

/** Texts that a stream is made of, each where it is not the listener's own. */
export interface StreamTexts {
  keywords: string | undefined;
  /** Of the search that goes on, and of the one of the next segment. */
  hotwords: string | undefined;
  nextHotwords: string | undefined;
}

/** What a recognizer gives each of its streams. */
export interface StreamSetup {
  model: Model;
  state: StreamState;
  search: StreamSearch;
  keywords: StreamKeywords;
  tailPaddingSeconds: number;
}

/** What was told of a stream so far. */
export interface Told {
  /** The last result, in short. */
  last: string;
  /** How many there were. */
  count: number;
}

/** What a stream itself keeps, beside its parts. */
const STATE = record({
  reported: whole(),
  hits: list(hitField),
  segment: whole(),
  segmentStart: whole(),
  told: record({ last: text, count: whole() }),
  chunks: whole(),
  frames: whole(),
  computeMs: real,
  readbackMs: real,
});

/** One speaker: waveform in, tokens out. Made by {@link OnlineRecognizer.createStream}. */
export class OnlineStream {
  readonly #setup: StreamSetup;
  readonly #features: StreamFeatures;
  /** @internal Called with new log-mel features, (frames, num_features), before they are decoded. */
  onFeatures?: (features: Float32Array) => void;
  /** @internal Called after each chunk, before the next one can come. */
  onAdvance?: () => void;
  /** @internal Chunks that are asked for and not taken yet: their steps wait for their turn. */
  chunksAsked = 0;
  /** @internal Until it is resolved no step over the stream begins. */
  pause: Promise<unknown> | undefined;
  /** @internal What was told of it. */
  told: Readonly<Told> = { last: '', count: 0 };
  #failure: { error: unknown } | undefined;
  #epoch = 0;

  #decoder: Decoder;
  /** What {@link #decoder} was made by, and what the next one will be made by. */
  #search: StreamSearch;
  #nextSearch: StreamSearch;
  #keywords: StreamKeywords;
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
    this.#search = this.#nextSearch = setup.search;
    try {
      this.#features = new StreamFeatures(setup.model.config.features);
      this.#decoder = setup.search.createDecoder(undefined, setup.keywords.list);
      this.#report = new KeywordReport(setup.keywords.list);
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
    const features = this.#features.accept(chunk);
    this.onFeatures?.(features);
  }

  /** Ends the input: silence is added so that the last words come out, and the rest becomes ready. */
  inputFinished(): void {
    this.state.check();
    if (!this.isInputFinished) {
      const features = this.#features.finish(this.#setup.tailPaddingSeconds);
      this.onFeatures?.(features);
    }
  }

  /** Encoder frames that can be computed from the features there are. */
  get framesReady(): number {
    const context = this.state.started ? 0 : CONTEXT_FRAMES;
    return Math.max(0, Math.floor((this.#features.rows - context) / SUBSAMPLING_FACTOR));
  }

  /** Seconds of audio that wait for a step. */
  get secondsWaiting(): number {
    return this.framesReady * this.secondsPerFrame;
  }

  /** @internal Whether a step over this stream is under way, or waits for its turn. */
  get isUnderWay(): boolean {
    return this.#features.isUnderWay || this.chunksAsked > 0;
  }

  /** Whether {@link inputFinished} was called. */
  get isInputFinished(): boolean {
    return this.#features.finished;
  }

  /** Samples taken so far, at the rate that they came at. */
  get samples(): number {
    return this.#features.samples;
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
  setKeywords(keywords: StreamKeywords): void {
    this.#keywords = keywords;
    this.#report = new KeywordReport(keywords.list);
    if (isKeywordDecoder(this.#decoder)) {
      this.#segmentStart += this.#decoder.frames;
      this.#begin();
    }
  }

  /** @internal Another search, from the next segment on; at once where this one has heard nothing yet. */
  setSearch(search: StreamSearch): void {
    this.#nextSearch = search;
    if (this.#decoder.frames === 0) {
      this.#begin(this.#decoder.ending);
    }
  }

  /** @internal Texts that its searches and keywords are made of, where they are not the listener's. */
  get texts(): StreamTexts {
    const [hotwords, nextHotwords] = [this.#search.hotwords, this.#nextSearch.hotwords];
    return { hotwords, nextHotwords, keywords: this.#keywords.text };
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
    return this.#features.take(SUBSAMPLING_FACTOR * frames + (this.state.started ? 0 : CONTEXT_FRAMES));
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
      this.#features.giveBack(values);
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
    this.#begin(this.#decoder.ending);
    // A keyword may begin in one segment and end in the next.
    this.#clearResults();
  }

  /** @internal Starts afresh: states, features, decoder and results. */
  restart(): void {
    this.state.reset();
    this.#epoch++;
    this.#features.restart();
    this.#failure = undefined;
    this.told = { last: '', count: 0 };
    this.#segment = this.#segmentStart = 0;
    this.#begin();
    this.#report = new KeywordReport(this.#keywords.list);
    this.#clearResults();
  }

  /** @internal Writes all of it as it is now; for this no step may be under way. */
  async save(to: SnapshotWriter): Promise<void> {
    this.check();
    const saving = this.state.save();
    const [reported, hits, segment, segmentStart] = [this.#reported, this.#hits, this.#segment, this.#segmentStart];
    const [chunks, frames, computeMs, readbackMs] = [this.#chunks, this.#frames, this.#computeMs, this.#readbackMs];
    const { told } = this;
    STATE.write(to, { reported, hits, segment, segmentStart, told, chunks, frames, computeMs, readbackMs });
    this.#features.save(to);
    this.#report.save(to);
    this.#decoder.save(to);
    this.#encoderState.write(to, await saving);
  }

  /** @internal Goes on where another over the same texts was saved. @throws RillError `bad-snapshot`. */
  restore(from: SnapshotReader): void {
    const { told, ...state } = STATE.read(from);
    this.told = told;
    this.#reported = state.reported;
    this.#hits = state.hits;
    this.#segment = state.segment;
    this.#segmentStart = state.segmentStart;
    this.#chunks = state.chunks;
    this.#frames = state.frames;
    this.#computeMs = state.computeMs;
    this.#readbackMs = state.readbackMs;
    this.#features.restore(from);
    this.#report.restore(from);
    this.#decoder.restore(from);
    const { tokens } = this.#decoder.ending;
    this.state.resume(this.#encoderState.read(from), tokens.length > 0 ? tokens : undefined);
  }

  get #encoderState() {
    return savedStateField(this.#setup.model.sizes.encoder);
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

  /** A search, of the kind that was asked for last. */
  #begin(before?: DecoderEnding): void {
    this.#search = this.#nextSearch;
    this.#decoder = this.#search.createDecoder(before, this.#keywords.list);
  }

  #clearResults(): void {
    this.#reported = 0;
    this.#hits = [];
  }
}
