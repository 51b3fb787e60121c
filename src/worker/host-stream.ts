import type { OnlineRecognizer, RecognitionResult } from '../recognizer/recognizer.ts';
import type { OnlineStream, StreamStats } from '../recognizer/stream.ts';
import type { StreamUpdate, WorkerAudio, WorkerStreamOptions } from './messages.ts';

interface Listener {
  update(update: StreamUpdate): void;
  features(features: Float32Array): void;
}

/** Audio that is not decoded yet, by where it ends in the stream. */
interface Pending extends WorkerAudio {
  end: number;
}

/** States are looked at by people: no more often than they can see. */
const STATES_EVERY_MS = 80;

const NO_STATS: StreamStats = {
  chunks: 0,
  frames: 0,
  computeMs: 0,
  readbackMs: 0,
  audioSeconds: 0,
  realTimeFactor: 0,
};

/** One stream of a worker, over as many recognizers as the GPU makes necessary. */
export class HostStream {
  #recognizer: OnlineRecognizer;
  #options: WorkerStreamOptions;
  readonly #listener: Listener;
  #stream: OnlineStream;
  /** What the streams before this one, on devices that were lost, have decoded: seconds, segments, and cost. */
  #before = { seconds: 0, segments: 0, stats: [] as StreamStats[] };
  #pending: Pending[] = [];
  #pushedSeconds = 0;
  #finished = false;
  /** The stream's cost after the chunk before. */
  #last = NO_STATS;
  #statesAt = 0;
  #states: StreamUpdate['states'];

  constructor(recognizer: OnlineRecognizer, options: WorkerStreamOptions, listener: Listener) {
    this.#recognizer = recognizer;
    this.#options = options;
    this.#listener = listener;
    this.#stream = this.#open();
  }

  get stream(): OnlineStream {
    return this.#stream;
  }

  get isReady(): boolean {
    return this.#recognizer.isReady(this.#stream);
  }

  push(audio: WorkerAudio): void {
    this.#stream.acceptWaveform(audio);
    this.#pushedSeconds += audio.samples.length / audio.sampleRate;
    this.#pending.push({ ...audio, end: this.#pushedSeconds });
  }

  finish(): void {
    this.#finished = true;
    this.#stream.inputFinished();
    this.#finishEmpty();
  }

  setKeywords(keywords: string): void {
    this.#stream.setKeywords(this.#recognizer.parseKeywords(keywords));
    this.#options = { ...this.#options, keywords };
  }

  setOptions(options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void {
    this.#options = { ...this.#options, ...options };
  }

  /** Goes on behind what was decoded, on another recognizer: the device of the one before was lost. */
  moveTo(recognizer: OnlineRecognizer): void {
    const result = this.#recognizer.getResult(this.#stream);
    const { stats } = this.#stream;
    if (result.text !== '') {
      this.#post({ ...result, isFinal: true }, stats, { seconds: 0, computeMs: 0, readbackMs: 0 });
    }
    const seconds = this.#before.seconds + stats.audioSeconds;
    this.#before = {
      seconds,
      segments: this.#before.segments + result.segment + 1,
      stats: [...this.#before.stats, stats],
    };
    this.#recognizer = recognizer;
    this.#stream = this.#open();
    // What had come and was not decoded is heard again, from the piece that the last chunk ended in.
    this.#pending = this.#pending.filter(({ end }) => end > seconds);
    this.#pending.forEach((audio) => {
      this.#stream.acceptWaveform(audio);
    });
    if (this.#finished) {
      this.#stream.inputFinished();
      this.#finishEmpty();
    }
  }

  close(): void {
    this.#stream.dispose();
  }

  #open(): OnlineStream {
    const { hotwords, keywords } = this.#options;
    const stream = this.#recognizer.createStream({ hotwords });
    try {
      if (keywords !== undefined) {
        stream.setKeywords(this.#recognizer.parseKeywords(keywords));
      }
    } catch (error) {
      stream.dispose();
      throw error;
    }
    stream.onFeatures = (features) => {
      if (this.#options.features) {
        this.#listener.features(features.slice());
      }
    };
    stream.onAdvance = () => {
      this.#advance();
    };
    this.#last = NO_STATS;
    return stream;
  }

  /** After a chunk: what it brought, and whether it ended a segment. */
  #advance(): void {
    const { stats } = this.#stream;
    const last = this.#last;
    this.#last = stats;
    const times = {
      seconds: (stats.frames - last.frames) * this.#stream.secondsPerFrame,
      computeMs: stats.computeMs - last.computeMs,
      readbackMs: stats.readbackMs - last.readbackMs,
    };
    const result = this.#recognizer.getResult(this.#stream);
    const ends = !result.isFinal && this.#recognizer.isEndpoint(this.#stream);
    this.#post(ends ? { ...this.#recognizer.reset(this.#stream), isFinal: true } : result, stats, times);
    this.#lookAtStates();
  }

  /** A stream that ended without a frame left to decode has no chunk to tell of its end. */
  #finishEmpty(): void {
    if (!this.isReady && !this.#stream.isUnderWay) {
      const none = { seconds: 0, computeMs: 0, readbackMs: 0 };
      this.#post(this.#recognizer.getResult(this.#stream), this.#stream.stats, none);
    }
  }

  #post(result: RecognitionResult, stats: StreamStats, times: Omit<StreamUpdate['chunk'], 'end' | 'latencyMs'>): void {
    const { seconds, segments } = this.#before;
    const end = seconds + stats.audioSeconds;
    const captured = this.#pending.find((audio) => audio.end >= end)?.capturedAt;
    this.#pending = this.#pending.filter((audio) => audio.end >= end - 1);
    const latencyMs = captured === undefined ? undefined : performance.timeOrigin + performance.now() - captured;
    this.#listener.update({
      result: {
        ...result,
        segment: result.segment + segments,
        startTime: result.startTime + seconds,
        timestamps: result.timestamps.map((time) => time + seconds),
        words: result.words.map((word) => ({ ...word, start: word.start + seconds, end: word.end + seconds })),
        keywords: result.keywords.map((hit) => ({ ...hit, start: hit.start + seconds, end: hit.end + seconds })),
      },
      stats: this.#before.stats.reduce(addStats, stats),
      chunk: { end, ...times, latencyMs },
      states: this.#states,
    });
    this.#states = undefined;
  }

  /** Reads the states for the next update, where they are asked for. */
  #lookAtStates(): void {
    const { stateLayer } = this.#options;
    const now = performance.now();
    if (stateLayer === undefined || now - this.#statesAt < STATES_EVERY_MS) {
      return;
    }
    this.#statesAt = now;
    const { dModel, rnnHiddenSize } = this.#recognizer.encoder.sizes;
    this.#stream.readStates().then(
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

function addStats(a: StreamStats, b: StreamStats): StreamStats {
  const computeMs = a.computeMs + b.computeMs;
  const readbackMs = a.readbackMs + b.readbackMs;
  const audioSeconds = a.audioSeconds + b.audioSeconds;
  return {
    chunks: a.chunks + b.chunks,
    frames: a.frames + b.frames,
    computeMs,
    readbackMs,
    audioSeconds,
    realTimeFactor: audioSeconds > 0 ? (computeMs + readbackMs) / 1000 / audioSeconds : 0,
  };
}
