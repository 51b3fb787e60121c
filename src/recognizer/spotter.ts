import { CtcKeywordSpotter } from '../decoder/ctc-keyword-spotter.ts';
import type { Keyword, KeywordDecoder, SpotterOptions } from '../decoder/keywords.ts';
import { parseKeywords } from '../decoder/phrase-files.ts';
import { TransducerKeywordSpotter } from '../decoder/transducer-keyword-spotter.ts';
import { RnnEncoder, type EncoderOptions } from '../encoder/encoder.ts';
import type { GpuContext } from '../gpu/context.ts';
import { RillError } from '../errors.ts';
import { CTC_LOG_PROBS, CtcHead, noCtc } from '../head/ctc.ts';
import { TransducerHead, TransducerJoiner } from '../head/transducer.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { StreamEngine } from './engine.ts';
import { load, type LoadOptions } from './load.ts';
import { resolveStreamingOptions, type StreamingOptions } from './options.ts';
import type { StreamOptions } from './recognizer.ts';
import { timedKeywords, type TimedKeyword } from './results.ts';
import { OnlineStream } from './stream.ts';

/** The heads that keywords can be looked for in. */
export const KEYWORD_HEADS = ['ctc', 'transducer'] as const;
export type KeywordHead = (typeof KEYWORD_HEADS)[number];

export interface KeywordSpotterOptions
  extends StreamingOptions, EncoderOptions, Omit<SpotterOptions, 'vocabSize' | 'blankId' | 'unkId'> {
  /** Keywords to listen for, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
  /** The head to look for them in; `ctc`, which is the surer one, where the model has it. */
  head?: KeywordHead;
}

/** Makes a search for keywords. */
type CreateKeywordDecoder = (keywords: readonly Keyword[]) => KeywordDecoder;

async function decoderFactory(
  model: Model,
  tokens: TokenTable,
  options: KeywordSpotterOptions,
): Promise<CreateKeywordDecoder> {
  const { blankId, unkId } = model.config;
  const { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty } = options;
  const numbers = { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty };
  const search: SpotterOptions = { vocabSize: tokens.size, blankId, unkId, ...numbers };
  const { head = model.sizes.hasCtc ? 'ctc' : 'transducer' } = options;
  if (head === 'ctc') {
    if (!model.sizes.hasCtc) {
      throw noCtc();
    }
    return (keywords) => new CtcKeywordSpotter(keywords, search);
  }
  if (head !== 'transducer') {
    throw new RillError('bad-argument', {
      got: `head: ${JSON.stringify(head)}`,
      expected: KEYWORD_HEADS.join(' or '),
      remedy: 'Leave it out.',
    });
  }
  const joiner = await TransducerJoiner.load(model);
  return (keywords) => new TransducerKeywordSpotter(joiner, keywords, search);
}

/**
 * Keyword spotting, many streams over one encoder: over the CTC head where the model has one, else over the transducer.
 * Keywords are text: each stream can have its own, and change them while it runs.
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
  readonly #keywords: readonly Keyword[];
  readonly #createDecoder: CreateKeywordDecoder;
  readonly #tailPaddingSeconds: number;

  private constructor(
    engine: StreamEngine,
    model: Model,
    tokens: TokenTable,
    keywords: readonly Keyword[],
    createDecoder: CreateKeywordDecoder,
    tailPaddingSeconds: number,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#tokens = tokens;
    this.#keywords = keywords;
    this.#createDecoder = createDecoder;
    this.#tailPaddingSeconds = tailPaddingSeconds;
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
   * @throws RillError `bad-model` without tokens, a head, or the one that the options name, `bad-argument` for options out of
   * range, `shader`, `gpu`, `device-lost`.
   */
  static async create(context: GpuContext, model: Model, options: KeywordSpotterOptions = {}): Promise<KeywordSpotter> {
    const { tokens, chunkFrames, tailPaddingSeconds } = resolveStreamingOptions(model, options);
    const keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
    const createDecoder = await decoderFactory(model, tokens, options);
    // Options out of range are refused here, not at the first stream.
    const { input } = createDecoder(keywords);
    const encoder = await RnnEncoder.create(context, model, {
      ...options,
      maxFrames: options.maxFrames ?? chunkFrames,
    });
    try {
      await (input === CTC_LOG_PROBS ? CtcHead : TransducerHead).attach(encoder, model);
      const engine = new StreamEngine(encoder, chunkFrames, input);
      return new KeywordSpotter(engine, model, tokens, keywords, createDecoder, tailPaddingSeconds);
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
    if (this.#engine.hasEnded(stream)) {
      stream.settle({ ended: true });
    }
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
