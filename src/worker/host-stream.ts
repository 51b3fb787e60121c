import { SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { Scheduled } from '../recognizer/scheduler.ts';
import { withRealTimeFactor, type OnlineStream, type StreamStats } from '../recognizer/stream.ts';
import type { Waveform } from '../waveform/waveform.ts';
import type { StreamUpdate, WorkerStreamOptions } from './messages.ts';
import { REWIND_SECONDS, rewind, type PendingAudio } from './rewind.ts';
import type { Hosted } from './spotting.ts';

interface Listener {
  update(update: StreamUpdate): void;
  features(features: Float32Array): void;
}

/** States are looked at by people: no more often than they can see. */
const STATES_EVERY_MS = 80;

const NO_STATS = withRealTimeFactor({ chunks: 0, frames: 0, computeMs: 0, readbackMs: 0, audioSeconds: 0 });
/** Of an update that no chunk brought. */
const NO_TIMES = { seconds: 0, computeMs: 0, readbackMs: 0 };

/** One stream of a worker, over as many recognizers or spotters as lost devices make necessary. */
export class HostStream implements Scheduled {
  #recognizer: Hosted;
  #options: WorkerStreamOptions;
  readonly #listener: Listener;
  /** Absent while there is no device to run it on. */
  #stream: OnlineStream | undefined;
  /** What the streams before this one, on devices that were lost, have decoded: seconds, segments, and cost. */
  #before = { seconds: 0, segments: 0, stats: NO_STATS };
  #pending: PendingAudio[] = [];
  #pushedSeconds = 0;
  #finished = false;
  /** The stream's cost after the chunk before. */
  #last = NO_STATS;
  /** Feature frames posted, and how many of those to come were posted before. */
  #postedFrames = 0;
  #repeatedFrames = 0;
  /** Encoder frames at the start of the stream that only bring its states to where those before it were. */
  #warmUpFrames = 0;
  /** Where the last keyword ends that was told before a device was lost, in seconds: it is not told again. */
  #keywordsTold = 0;
  #statesAt = 0;
  #states: StreamUpdate['states'];

  constructor(recognizer: Hosted, options: WorkerStreamOptions, listener: Listener) {
    this.#recognizer = recognizer;
    this.#options = options;
    this.#listener = listener;
    this.#stream = this.#open();
  }

  get stream(): OnlineStream | undefined {
    return this.#stream;
  }

  get isReady(): boolean {
    return this.#stream !== undefined && this.#recognizer.isReady(this.#stream);
  }

  get isUnderWay(): boolean {
    return this.#stream?.isUnderWay ?? false;
  }

  /** The end of a stream without a frame left to decode is told by {@link finish}, that of any other by its last chunk. */
  onIdle(): void {
    return;
  }

  push(audio: Waveform): void {
    this.#stream?.acceptWaveform(audio);
    this.#pushedSeconds += audio.samples.length / audio.sampleRate;
    this.#pending.push({ ...audio, end: this.#pushedSeconds });
  }

  finish(): void {
    this.#finished = true;
    this.#stream?.inputFinished();
    this.#finishEmpty();
  }

  /** @throws RillError `bad-model` for lines that the model cannot spell. */
  setKeywords(keywords: string): void {
    const parsed = this.#recognizer.parseKeywords(keywords);
    this.#options = { ...this.#options, keywords };
    this.#stream?.setKeywords({ text: keywords, list: parsed });
  }

  /** @throws RillError `bad-argument`, `bad-model` for hotwords that do not fit; the stream goes on as before then. */
  setHotwords(hotwords: string): void {
    if (this.#stream) {
      this.#recognizer.setHotwords(this.#stream, hotwords);
    }
    this.#options = { ...this.#options, hotwords };
  }

  setOptions(options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void {
    this.#options = { ...this.#options, ...options };
  }

  /**
   * The device is lost: closes the segment behind its last complete word, and keeps the audio from there on to be heard
   * again, with some before it that brings the next encoder's states to where they were.
   */
  suspend(): void {
    const stream = this.#detach();
    if (!stream) {
      return;
    }
    if (stream.stats.frames < this.#warmUpFrames) {
      // Nothing new was heard: the next one starts where this one did.
      this.#repeatedFrames = Math.max(0, this.#postedFrames - featureFrames(stream, this.#before.seconds));
      return;
    }
    const result = this.#recognizer.getResult(stream);
    const { stats, secondsPerFrame } = stream;
    const next = rewind({
      result,
      start: this.#before.seconds,
      decodedSeconds: stats.audioSeconds,
      pending: this.#pending,
      chunkFrames: this.#recognizer.chunkFrames,
      secondsPerFrame,
    });
    if (result.words.length > 0) {
      const tokens = result.tokens.slice(0, next.completeTokens);
      const complete = {
        ...result,
        text: this.#recognizer.textOf(tokens),
        tokens,
        timestamps: result.timestamps.slice(0, next.completeTokens),
        tokenLogProbs: result.tokenLogProbs.slice(0, next.completeTokens),
        isFinal: true,
      };
      this.#post(stream, complete, NO_TIMES, false);
    }
    this.#keywordsTold = this.#lastKeyword(result);
    this.#warmUpFrames = next.warmUpFrames;
    this.#pending = next.pending;
    this.#before = {
      seconds: next.start,
      segments: this.#before.segments + result.segment + 1,
      stats: addStats(this.#before.stats, stats),
    };
    this.#repeatedFrames = Math.max(0, this.#postedFrames - featureFrames(stream, next.start));
  }

  /** Where the last of all keywords ends, in seconds of the whole stream. */
  #lastKeyword({ keywords }: RecognitionResult): number {
    return Math.max(this.#keywordsTold, ...keywords.map(({ end }) => this.#before.seconds + end));
  }

  /** Goes on behind what was decoded, on another recognizer. */
  resume(recognizer: Hosted): void {
    this.#recognizer = recognizer;
    const stream = (this.#stream = this.#open());
    this.#pending.forEach((audio) => {
      stream.acceptWaveform(audio);
    });
    if (this.#finished) {
      stream.inputFinished();
      this.#finishEmpty();
    }
  }

  /** A chunk of it that is under way brings nothing any more. */
  close(): void {
    this.#detach()?.dispose();
  }

  /** Parts with the recognizer's stream, which tells nothing from here on. */
  #detach(): OnlineStream | undefined {
    const stream = this.#stream;
    if (stream) {
      stream.onAdvance = stream.onFeatures = undefined;
      this.#stream = undefined;
    }
    return stream;
  }

  #open(): OnlineStream {
    const { hotwords, keywords } = this.#options;
    const stream = this.#recognizer.createStream({ hotwords, keywords });
    stream.onFeatures = (features) => {
      this.#postFeatures(features);
    };
    stream.onAdvance = () => {
      this.#advance(stream);
    };
    this.#last = NO_STATS;
    return stream;
  }

  #postFeatures(features: Float32Array): void {
    const width = this.#recognizer.encoder.sizes.numFeatures;
    const repeated = Math.min(this.#repeatedFrames, features.length / width);
    this.#repeatedFrames -= repeated;
    this.#postedFrames += features.length / width - repeated;
    if (this.#options.features && features.length > repeated * width) {
      this.#listener.features(features.slice(repeated * width));
    }
  }

  /** After a chunk: what it brought, and whether it ended a segment. */
  #advance(stream: OnlineStream): void {
    const { stats } = stream;
    const last = this.#last;
    this.#last = stats;
    const times = {
      seconds: (stats.frames - last.frames) * stream.secondsPerFrame,
      computeMs: stats.computeMs - last.computeMs,
      readbackMs: stats.readbackMs - last.readbackMs,
    };
    if (last.frames < this.#warmUpFrames) {
      // Heard before the device was lost, and told then.
      const done = stats.frames >= this.#warmUpFrames || this.#recognizer.getResult(stream).isFinal;
      if (done) {
        this.#recognizer.reset(stream);
      }
      if (!(done && this.#recognizer.getResult(stream).isFinal)) {
        return;
      }
    }
    const result = this.#recognizer.getResult(stream);
    const ends = !result.isFinal && this.#recognizer.isEndpoint(stream);
    const told = ends ? this.#recognizer.reset(stream) : result;
    this.#post(stream, told, times, !ends);
    if (ends) {
      this.#keywordsTold = this.#lastKeyword(told);
    }
    this.#lookAtStates(stream);
  }

  /** A stream that ended without a frame left to decode has no chunk to tell of its end. */
  #finishEmpty(): void {
    const stream = this.#stream;
    if (stream && !this.isReady && !stream.isUnderWay) {
      this.#post(stream, this.#recognizer.getResult(stream), NO_TIMES, true);
    }
  }

  /** @param mayEnd a final result is the end of the stream, not only of a segment */
  #post(
    stream: OnlineStream,
    result: RecognitionResult,
    times: Omit<StreamUpdate['chunk'], 'end' | 'latencyMs'>,
    mayEnd: boolean,
  ): void {
    const { stats } = stream;
    const { seconds, segments } = this.#before;
    const end = seconds + stats.audioSeconds;
    const captured = this.#pending.find((audio) => audio.end >= end)?.capturedAt;
    // What may be heard again, should the device go.
    this.#pending = this.#pending.filter((audio) => audio.end >= end - 2 * REWIND_SECONDS);
    const latencyMs = captured === undefined ? undefined : performance.timeOrigin + performance.now() - captured;
    const states = this.#states;
    this.#states = undefined;
    this.#listener.update({
      result: {
        ...result,
        segment: result.segment + segments,
        startTime: result.startTime + seconds,
        timestamps: result.timestamps.map((time) => time + seconds),
        words: result.words.map((word) => ({ ...word, start: word.start + seconds, end: word.end + seconds })),
        keywords: result.keywords
          .map((hit) => ({ ...hit, start: hit.start + seconds, end: hit.end + seconds }))
          // Heard again, a keyword may come a frame later.
          .filter((hit) => hit.end > this.#keywordsTold + stream.secondsPerFrame),
      },
      ended: mayEnd && result.isFinal,
      stats: addStats(this.#before.stats, stats),
      backlogSeconds: Math.max(0, this.#pushedSeconds - end),
      chunk: { end, ...times, latencyMs },
      states,
    });
  }

  /** Reads the states for the next update, where they are asked for. */
  #lookAtStates(stream: OnlineStream): void {
    const { stateLayer } = this.#options;
    const now = performance.now();
    if (stateLayer === undefined || now - this.#statesAt < STATES_EVERY_MS) {
      return;
    }
    this.#statesAt = now;
    const { dModel, rnnHiddenSize } = this.#recognizer.encoder.sizes;
    stream.readStates().then(
      ({ h, c }) => {
        this.#states = {
          h: h.slice(stateLayer * dModel, (stateLayer + 1) * dModel),
          c: c.slice(stateLayer * rnnHiddenSize, (stateLayer + 1) * rnnHiddenSize),
        };
      },
      // The stream has ended, or the device is gone: there is nothing to look at.
      () => undefined,
    );
  }
}

/** Feature frames in so many seconds of a stream. */
const featureFrames = ({ secondsPerFrame }: OnlineStream, seconds: number) =>
  Math.round((SUBSAMPLING_FACTOR * seconds) / secondsPerFrame);

function addStats(a: StreamStats, b: StreamStats): StreamStats {
  return withRealTimeFactor({
    chunks: a.chunks + b.chunks,
    frames: a.frames + b.frames,
    computeMs: a.computeMs + b.computeMs,
    readbackMs: a.readbackMs + b.readbackMs,
    audioSeconds: a.audioSeconds + b.audioSeconds,
  });
}
