import { parseKeywords, type Keyword } from '../decoder/keywords.ts';
import { RnnEncoder, type EncoderOptions } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { GpuContext } from '../gpu/context.ts';
import { CTC_LOG_PROBS, CtcHead } from '../head/ctc.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { joinWords } from '../text/words.ts';
import { OnlineStream } from './stream.ts';

export interface RecognizerOptions extends EncoderOptions {
  /** Encoder frames (40 ms) of one stream in one step: fewer for less latency, more for less work. */
  chunkFrames?: number;
  /** Seconds of silence added when the input ends, so that the last letters come out. */
  tailPaddingSeconds?: number;
  /** Keywords to report, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
}

/** A word with its times. */
export interface TimedWord {
  word: string;
  /** Seconds from the start of the stream. */
  start: number;
  end: number;
}

/** A keyword that was heard, with its times. */
export interface TimedKeyword {
  keyword: string;
  /** Seconds from the start of the stream, of its first and last token. */
  start: number;
  end: number;
  /** Mean probability of its tokens. */
  score: number;
}

export interface RecognitionResult {
  text: string;
  /** Token ids. */
  tokens: number[];
  /** Seconds from the start of the stream, one for each token. */
  timestamps: number[];
  /** Words that later audio cannot change any more. */
  words: TimedWord[];
  keywords: TimedKeyword[];
}

const DEFAULT_CHUNK_FRAMES = 4;
const DEFAULT_TAIL_PADDING_SECONDS = 0.5;

/**
 * Streaming speech recognition: many streams over one encoder, CTC greedy search, keywords on top of it.
 *
 * ```ts
 * const recognizer = await OnlineRecognizer.create(context, model);
 * const stream = recognizer.createStream();
 * stream.acceptWaveform({ samples, sampleRate });
 * while (recognizer.isReady(stream)) await recognizer.decode(stream);
 * console.log(recognizer.getResult(stream).text);
 * ```
 */
export class OnlineRecognizer {
  readonly model: Model;
  readonly encoder: RnnEncoder;
  readonly chunkFrames: number;
  readonly #tokens: TokenTable;
  readonly #keywords: readonly Keyword[];
  readonly #tailPaddingSeconds: number;
  /** Calls run one after the other; each waits for the one before, whether that failed or not. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    model: Model,
    encoder: RnnEncoder,
    tokens: TokenTable,
    {
      chunkFrames,
      keywords,
      tailPaddingSeconds,
    }: { chunkFrames: number; keywords: readonly Keyword[]; tailPaddingSeconds: number },
  ) {
    this.model = model;
    this.encoder = encoder;
    this.chunkFrames = chunkFrames;
    this.#tokens = tokens;
    this.#keywords = keywords;
    this.#tailPaddingSeconds = tailPaddingSeconds;
  }

  /**
   * Loads the model onto the GPU.
   *
   * @throws RillError `bad-model` without a CTC head or tokens, `bad-argument` for a chunk of no frames.
   */
  static async create(context: GpuContext, model: Model, options: RecognizerOptions = {}): Promise<OnlineRecognizer> {
    const { chunkFrames = DEFAULT_CHUNK_FRAMES, tailPaddingSeconds = DEFAULT_TAIL_PADDING_SECONDS } = options;
    const { tokens } = model;
    if (!tokens) {
      throw new RillError('bad-model', {
        got: 'a model without tokens.txt',
        expected: 'a token table',
        remedy: 'Put the tokens.txt of the training run into the model folder.',
      });
    }
    if (!Number.isInteger(chunkFrames) || chunkFrames < 1 || !(tailPaddingSeconds >= 0 && tailPaddingSeconds <= 60)) {
      throw new RillError('bad-argument', {
        got: `chunks of ${chunkFrames} frames and ${tailPaddingSeconds} s of tail padding`,
        expected: 'at least one frame, and 0 to 60 s',
        remedy: 'One encoder frame is 40 ms; 4 is a good start.',
      });
    }
    const keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
    const encoder = await RnnEncoder.create(context, model, {
      ...options,
      maxFrames: options.maxFrames ?? Math.max(chunkFrames, 1),
    });
    await CtcHead.attach(encoder, model);
    return new OnlineRecognizer(model, encoder, tokens, { chunkFrames, keywords, tailPaddingSeconds });
  }

  /** @throws RillError `bad-argument` when all slots are taken. */
  createStream(): OnlineStream {
    return new OnlineStream(this.model, this.encoder.createState(), this.#keywords, this.#tailPaddingSeconds);
  }

  /** Whether a whole chunk waits, or, at the end of the input, any part of one. */
  isReady(stream: OnlineStream): boolean {
    return stream.framesReady >= (stream.isInputFinished ? 1 : this.chunkFrames);
  }

  /**
   * Advances each given stream that is ready by one chunk, all in one GPU step. Calls may overlap: they queue.
   *
   * @throws RillError `closed`, `device-lost`, `gpu`.
   */
  decode(streams: OnlineStream | readonly OnlineStream[]): Promise<void> {
    const list = streams instanceof OnlineStream ? [streams] : streams;
    const run = this.#queue.then(
      () => this.#decode(list),
      () => this.#decode(list),
    );
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #decode(streams: readonly OnlineStream[]): Promise<void> {
    const ready = streams.filter((stream) => this.isReady(stream));
    if (ready.length === 0) {
      return;
    }
    const before = ready.map(({ state, epoch }) => ({ first: !state.started, epoch }));
    const inputs = ready.map((stream) => ({
      state: stream.state,
      features: stream.nextFeatures(Math.min(this.chunkFrames, stream.framesReady)),
    }));
    const start = performance.now();
    const results = await this.encoder.step(inputs, [CTC_LOG_PROBS]);
    const computeMs = performance.now() - start;
    results.forEach(({ frames, outputs }, i) => {
      if (ready[i].epoch === before[i].epoch) {
        ready[i].accept(frames, outputs[CTC_LOG_PROBS], before[i].first, computeMs);
      }
    });
  }

  getResult(stream: OnlineStream): RecognitionResult {
    const { tokens, secondsPerFrame, keywordHits } = stream;
    const seconds = (frame: number) => Math.round(frame * secondsPerFrame * 1000) / 1000;
    return {
      text: this.#tokens.text(tokens.map(({ id }) => id)),
      tokens: tokens.map(({ id }) => id),
      timestamps: tokens.map(({ frame }) => seconds(frame)),
      words: joinWords(tokens, this.#tokens)
        .filter(({ complete }) => complete || stream.isInputFinished)
        .map(({ text, startFrame, endFrame }) => ({ word: text, start: seconds(startFrame), end: seconds(endFrame) })),
      keywords: keywordHits.map(({ keyword, startFrame, endFrame, score }) => ({
        keyword,
        start: seconds(startFrame),
        end: seconds(endFrame),
        score,
      })),
    };
  }

  /** Starts a stream afresh, for the next recording: zero states, nothing heard. */
  reset(stream: OnlineStream): void {
    stream.reset(this.#keywords);
  }

  /** Reads another keyword file's text, for {@link OnlineStream.setKeywords}. */
  parseKeywords(text: string): Keyword[] {
    return parseKeywords(text, this.#tokens);
  }

  dispose(): void {
    this.encoder.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
