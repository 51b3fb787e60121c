import { KeywordSpotterDecoder, type SpotterOptions } from '../decoder/keyword-spotter.ts';
import { parseKeywords, type Keyword } from '../decoder/keywords.ts';
import { RnnEncoder, type EncoderOptions } from '../encoder/encoder.ts';
import type { GpuContext } from '../gpu/context.ts';
import { JOINER_ENCODER_PROJ, TransducerHead, TransducerJoiner } from '../head/transducer.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { StreamEngine } from './engine.ts';
import { load, type LoadOptions } from './load.ts';
import { resolveStreamingOptions, type StreamingOptions } from './options.ts';
import type { StreamOptions } from './recognizer.ts';
import { timedKeywords, type TimedKeyword } from './results.ts';
import { OnlineStream } from './stream.ts';

export interface KeywordSpotterOptions extends StreamingOptions, EncoderOptions {
  /** Keywords to listen for, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
  maxActivePaths?: number;
  /** Added for each token of a keyword, where its line has no `:boost`. */
  keywordsScore?: number;
  /** Mean token probability that a keyword must reach, where its line has no `#threshold`. */
  keywordsThreshold?: number;
  /** Blanks that must follow a keyword before it fires. */
  numTrailingBlanks?: number;
  blankPenalty?: number;
}

/**
 * Keyword spotting over the transducer, many streams over one encoder. Keywords are text: each stream can have
 * its own, and change them while it runs.
 *
 * ```ts
 * const spotter = await KeywordSpotter.create(context, model);
 * const stream = spotter.createStream();
 * stream.acceptWaveform({ samples, sampleRate });
 * while (spotter.isReady(stream)) await spotter.decode(stream);
 * for (const { keyword, start } of spotter.getResult(stream)) console.log(keyword, start);
 * ```
 */
export class KeywordSpotter {
  readonly #engine: StreamEngine;
  /** A device that was opened for this spotter alone. */
  #ownContext: GpuContext | undefined;
  readonly #model: Model;
  readonly #tokens: TokenTable;
  readonly #joiner: TransducerJoiner;
  readonly #keywords: readonly Keyword[];
  readonly #search: SpotterOptions;
  readonly #tailPaddingSeconds: number;

  private constructor(
    engine: StreamEngine,
    model: Model,
    tokens: TokenTable,
    joiner: TransducerJoiner,
    options: KeywordSpotterOptions,
    tailPaddingSeconds: number,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#tokens = tokens;
    this.#joiner = joiner;
    this.#keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
    const { blankId, unkId } = model.config;
    const { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty } = options;
    const limits = { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty };
    this.#search = { vocabSize: tokens.size, blankId, unkId, ...limits };
    this.#tailPaddingSeconds = tailPaddingSeconds;
    // Options out of range are refused here, not at the first stream.
    this.#createDecoder(this.#keywords);
  }

  /**
   * Fetches a model, opens a GPU and makes a spotter of both: all that a page needs.
   *
   * @param source the address of a model folder, or a model
   * @throws RillError `no-webgpu`, `no-adapter`, `network`, `bad-model`, `bad-argument`, `shader`, `gpu`, `device-lost`;
   * what the signal is aborted with.
   */
  static async load(
    source: string | Model,
    options: LoadOptions & KeywordSpotterOptions = {},
  ): Promise<KeywordSpotter> {
    const { loaded, ownContext } = await load(source, options, (context, model) =>
      KeywordSpotter.create(context, model, options),
    );
    loaded.#ownContext = ownContext;
    return loaded;
  }

  /**
   * Loads the model onto the GPU.
   *
   * @throws RillError `bad-model` without a transducer head or tokens, `bad-argument` for options out of range, `shader`,
   * `gpu`, `device-lost`.
   */
  static async create(context: GpuContext, model: Model, options: KeywordSpotterOptions = {}): Promise<KeywordSpotter> {
    const { tokens, chunkFrames, tailPaddingSeconds } = resolveStreamingOptions(model, options);
    const joiner = await TransducerJoiner.load(model);
    const encoder = await RnnEncoder.create(context, model, {
      ...options,
      maxFrames: options.maxFrames ?? chunkFrames,
    });
    try {
      await TransducerHead.attach(encoder, model);
      const engine = new StreamEngine(encoder, chunkFrames, JOINER_ENCODER_PROJ);
      return new KeywordSpotter(engine, model, tokens, joiner, options, tailPaddingSeconds);
    } catch (error) {
      encoder.dispose();
      throw error;
    }
  }

  /**
   * @param options keywords of the stream's own, as the text of a keyword file; the spotter's by default
   * @throws RillError `busy` when all slots are taken, `bad-model` for tokens that the model does not have.
   */
  createStream({ keywords }: Pick<StreamOptions, 'keywords'> = {}): OnlineStream {
    const own = keywords === undefined ? this.#keywords : this.parseKeywords(keywords);
    return new OnlineStream({
      model: this.#model,
      state: this.encoder.createState(),
      createDecoder: (_, current) => this.#createDecoder(current),
      keywords: own,
      tailPaddingSeconds: this.#tailPaddingSeconds,
    });
  }

  get encoder(): RnnEncoder {
    return this.#engine.encoder;
  }

  /** Encoder frames of one stream in one step; can be changed at any time, up to `maxFrames`. */
  get chunkFrames(): number {
    return this.#engine.chunkFrames;
  }

  set chunkFrames(frames: number) {
    this.#engine.chunkFrames = frames;
  }

  #createDecoder(keywords: readonly Keyword[]): KeywordSpotterDecoder {
    return new KeywordSpotterDecoder(this.#joiner, keywords, this.#search);
  }

  /** Reads another keyword file's text, for {@link OnlineStream.setKeywords}. */
  parseKeywords(text: string): Keyword[] {
    return parseKeywords(text, this.#tokens);
  }

  isReady(stream: OnlineStream): boolean {
    return this.#engine.isReady(stream);
  }

  /** Advances each given stream that is ready by one chunk, in one GPU step for as many as it has lanes. Calls may overlap. */
  decode(streams: OnlineStream | readonly OnlineStream[]): Promise<void> {
    return this.#engine.decode(streams instanceof OnlineStream ? [streams] : streams);
  }

  /** Keywords heard since the start or the last reset. */
  getResult(stream: OnlineStream): TimedKeyword[] {
    return timedKeywords(stream);
  }

  /** Forgets what was heard and what was half heard; the audio goes on. */
  reset(stream: OnlineStream): void {
    stream.nextSegment(false);
  }

  dispose(): void {
    this.encoder.dispose();
    this.#ownContext?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
