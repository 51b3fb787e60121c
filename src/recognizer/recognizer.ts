import { ContextGraph } from '../decoder/context-graph.ts';
import { ENDPOINT_DEFAULTS, isEndpoint, type EndpointRules } from '../decoder/endpoint.ts';
import { parseHotwords, parseKeywords, type Keyword } from '../decoder/keywords.ts';
import { createDecoder, defaultMethod, isTransducerMethod, type DecodingMethod } from '../decoder/methods.ts';
import { initialContext } from '../decoder/transducer.ts';
import { RnnEncoder, type EncoderOptions } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { GpuContext } from '../gpu/context.ts';
import { CtcHead } from '../head/ctc.ts';
import { TransducerHead, TransducerJoiner } from '../head/transducer.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { joinWords } from '../text/words.ts';
import { OnlineStream } from './stream.ts';

export interface RecognizerOptions extends EncoderOptions {
  /** Encoder frames (40 ms) of one stream in one step: fewer for less latency, more for less work. */
  chunkFrames?: number;
  /** `ctc_greedy` when the model has a CTC head, else `greedy_search`. */
  decodingMethod?: DecodingMethod;
  /** Paths that a beam search keeps. */
  maxActivePaths?: number;
  /** Subtracted from the blank's logit: more for fewer deletions. */
  blankPenalty?: number;
  /** Phrases to favour, as the text of a hotwords file; needs a beam search. */
  hotwords?: string;
  /** Added for each token of a hotword, unless its line says otherwise. */
  hotwordsScore?: number;
  /** When {@link OnlineRecognizer.isEndpoint} holds; rules left out keep their defaults. */
  endpointRules?: Partial<EndpointRules>;
  /** Seconds of silence added when the input ends, so that the last letters come out. */
  tailPaddingSeconds?: number;
  /** Keywords to report, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
}

/** What a stream may have of its own. */
export interface StreamOptions {
  /** Phrases to favour, as the text of a hotwords file; the recognizer's by default. */
  hotwords?: string;
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

/** What was heard in the current segment. */
export interface RecognitionResult {
  text: string;
  /** Token ids. */
  tokens: number[];
  /** Seconds from the start of the stream, one for each token. */
  timestamps: number[];
  /** Natural logarithm of each token's probability on its frame. */
  tokenLogProbs: number[];
  /** Log-probability of the tokens, as the search scores it. */
  logProb: number;
  /** Words that are complete; a beam search may still revise the last ones. */
  words: TimedWord[];
  keywords: TimedKeyword[];
  /** Segments before this one. */
  segment: number;
  /** Seconds from the start of the stream to the start of the segment. */
  startTime: number;
  /** The input has ended and all of it is decoded. */
  isFinal: boolean;
}

const DEFAULT_CHUNK_FRAMES = 4;
const DEFAULT_TAIL_PADDING_SECONDS = 0.5;
export const DEFAULT_HOTWORDS_SCORE = 1.5;

/** Everything a recognizer is made of. */
interface Parts {
  model: Model;
  encoder: RnnEncoder;
  tokens: TokenTable;
  joiner: TransducerJoiner | undefined;
  method: DecodingMethod;
  chunkFrames: number;
  tailPaddingSeconds: number;
  keywords: readonly Keyword[];
  options: RecognizerOptions;
}

/**
 * Streaming speech recognition: many streams over one encoder, CTC or transducer search, greedy or beam.
 *
 * ```ts
 * const recognizer = await OnlineRecognizer.create(context, model);
 * const stream = recognizer.createStream();
 * stream.acceptWaveform({ samples, sampleRate });
 * while (recognizer.isReady(stream)) await recognizer.decode(stream);
 * console.log(recognizer.getResult(stream).text);
 * if (recognizer.isEndpoint(stream)) recognizer.reset(stream);
 * ```
 */
export class OnlineRecognizer {
  readonly #parts: Parts;
  readonly #hotwords: ContextGraph | undefined;
  readonly #endpointRules: Readonly<EndpointRules>;
  /** The head's output that the search reads. */
  readonly #input: string;
  /** Calls run one after the other; each waits for the one before, whether that failed or not. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#hotwords = this.#contextGraph(parts.options.hotwords);
    this.#endpointRules = { ...ENDPOINT_DEFAULTS, ...parts.options.endpointRules };
    // Options that do not go together are refused now, not at the first stream.
    this.#input = this.#createDecoder(this.#hotwords).input;
  }

  /**
   * Loads the model onto the GPU.
   *
   * @throws RillError `bad-model` without the head that the method needs or without tokens, `bad-argument` for
   * options out of range.
   */
  static async create(context: GpuContext, model: Model, options: RecognizerOptions = {}): Promise<OnlineRecognizer> {
    const { chunkFrames = DEFAULT_CHUNK_FRAMES, tailPaddingSeconds = DEFAULT_TAIL_PADDING_SECONDS } = options;
    const { decodingMethod: method = defaultMethod(model.sizes) } = options;
    const { tokens } = model;
    if (!tokens) {
      throw new RillError('bad-model', {
        got: 'a model without tokens.txt',
        expected: 'a token table',
        remedy: 'Put the tokens.txt of the training run into the model folder.',
      });
    }
    if (!(Number.isInteger(chunkFrames) && chunkFrames >= 1 && chunkFrames <= (options.maxFrames ?? chunkFrames))) {
      throw new RillError('bad-argument', {
        got: `chunks of ${chunkFrames} frames${options.maxFrames === undefined ? '' : ` with at most ${options.maxFrames} in a step`}`,
        expected: 'at least one frame, and no more than maxFrames',
        remedy: 'One encoder frame is 40 ms; 4 is a good start.',
      });
    }
    if (!(tailPaddingSeconds >= 0 && tailPaddingSeconds <= 60)) {
      throw new RillError('bad-argument', {
        got: `${tailPaddingSeconds} s of tail padding`,
        expected: '0 to 60 s',
        remedy: 'The default of 0.5 s brings out the last letters.',
      });
    }
    const keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
    const encoder = await RnnEncoder.create(context, model, {
      ...options,
      maxFrames: options.maxFrames ?? chunkFrames,
    });
    try {
      const joiner = isTransducerMethod(method) ? await TransducerJoiner.load(model) : undefined;
      await (joiner ? TransducerHead : CtcHead).attach(encoder, model);
      return new OnlineRecognizer({
        model,
        encoder,
        tokens,
        joiner,
        method,
        chunkFrames,
        tailPaddingSeconds,
        keywords,
        options,
      });
    } catch (error) {
      encoder.dispose();
      throw error;
    }
  }

  get encoder(): RnnEncoder {
    return this.#parts.encoder;
  }

  /** Encoder frames of one stream in one step. */
  get chunkFrames(): number {
    return this.#parts.chunkFrames;
  }

  get decodingMethod(): DecodingMethod {
    return this.#parts.method;
  }

  /** @throws RillError `bad-argument` when all slots are taken, or hotwords do not fit the search. */
  createStream(streamOptions: StreamOptions = {}): OnlineStream {
    const { model, encoder, keywords, tailPaddingSeconds } = this.#parts;
    const hotwords = streamOptions.hotwords === undefined ? this.#hotwords : this.#contextGraph(streamOptions.hotwords);
    this.#createDecoder(hotwords);
    return new OnlineStream({
      model,
      state: encoder.createState(),
      createDecoder: (before) => this.#createDecoder(hotwords, before),
      keywords,
      tailPaddingSeconds,
    });
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
    const run = this.#queue.then(() => this.#decode(list));
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #decode(streams: readonly OnlineStream[]): Promise<void> {
    streams.forEach(({ state }) => state.check());
    if (!streams.some((stream) => this.isReady(stream))) {
      return;
    }
    let taken: { stream: OnlineStream; first: boolean; epoch: number }[] = [];
    let start = 0;
    const prepare = () => {
      const ready = streams.filter((stream) => this.isReady(stream));
      taken = ready.map((stream) => ({ stream, first: !stream.state.started, epoch: stream.epoch }));
      start = performance.now();
      return ready.map((stream) => ({
        state: stream.state,
        features: stream.nextFeatures(Math.min(this.chunkFrames, stream.framesReady)),
      }));
    };
    const results = await this.encoder.stepLate(prepare, [this.#input]);
    const computeMs = performance.now() - start;
    results.forEach(({ frames, outputs }, i) => {
      const { stream, first, epoch } = taken[i];
      // A stream that was restarted meanwhile has no use for what it said before.
      if (stream.epoch === epoch) {
        stream.accept(frames, outputs[this.#input], first, computeMs);
      }
    });
  }

  /** What was heard in the current segment so far. */
  getResult(stream: OnlineStream): RecognitionResult {
    const { tokens: table } = this.#parts;
    const { tokens, secondsPerFrame, keywordHits, segment, logProb } = stream;
    const seconds = (frame: number) => Math.round(frame * secondsPerFrame * 1000) / 1000;
    const isFinal = stream.isInputFinished && !this.isReady(stream);
    return {
      text: table.text(tokens.map(({ id }) => id)),
      tokens: tokens.map(({ id }) => id),
      timestamps: tokens.map(({ frame }) => seconds(frame)),
      tokenLogProbs: tokens.map((token) => token.logProb),
      logProb,
      words: joinWords(tokens, table)
        .filter(({ complete }) => complete || isFinal)
        .map(({ text, startFrame, endFrame }) => ({ word: text, start: seconds(startFrame), end: seconds(endFrame) })),
      keywords: keywordHits.map(({ keyword, startFrame, endFrame, score }) => ({
        keyword,
        start: seconds(startFrame),
        end: seconds(endFrame),
        score,
      })),
      segment: segment.index,
      startTime: seconds(segment.startFrame),
      isFinal,
    };
  }

  /** Whether the speaker has come to an end, by the endpoint rules. */
  isEndpoint(stream: OnlineStream): boolean {
    const { hasSpeech, trailingBlanks, frames } = stream.silence;
    const { secondsPerFrame } = stream;
    return isEndpoint(this.#endpointRules, {
      hasSpeech,
      trailingSilence: trailingBlanks * secondsPerFrame,
      utteranceLength: frames * secondsPerFrame,
    });
  }

  /**
   * Starts the next segment of a stream, as after an endpoint: results are cleared; encoder states, features and
   * the last tokens of context are kept, so that no audio is lost.
   *
   * @param encoder whether to zero the encoder's h and c as well
   */
  reset(stream: OnlineStream, { encoder = false } = {}): void {
    stream.nextSegment(encoder);
  }

  /** Starts a stream afresh, for the next recording: zero states, nothing heard. */
  restart(stream: OnlineStream): void {
    stream.restart();
  }

  /** Reads another keyword file's text, for {@link OnlineStream.setKeywords}. */
  parseKeywords(text: string): Keyword[] {
    return parseKeywords(text, this.#parts.tokens);
  }

  dispose(): void {
    this.encoder.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #contextGraph(hotwords: string | undefined): ContextGraph | undefined {
    const { tokens, options } = this.#parts;
    const phrases = parseHotwords(hotwords ?? '', tokens, options.hotwordsScore ?? DEFAULT_HOTWORDS_SCORE);
    return phrases.length > 0 ? new ContextGraph(phrases) : undefined;
  }

  /** @param before tokens of the segment before: the search goes on from the last of them */
  #createDecoder(hotwords: ContextGraph | undefined, before: readonly number[] = []) {
    const { model, joiner, method, options } = this.#parts;
    const { blankId, unkId } = model.config;
    const { blankPenalty, maxActivePaths } = options;
    const search = { vocabSize: model.sizes.vocabSize ?? 0, blankId, unkId, blankPenalty, maxActivePaths, hotwords };
    const context = joiner && [...initialContext(joiner, blankId), ...before].slice(-joiner.contextSize);
    return createDecoder(method, search, joiner, context);
  }
}
