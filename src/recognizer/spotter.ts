import { CtcKeywordSpotter } from '../decoder/ctc-keyword-spotter.ts';
import { TransducerJoiner } from '../decoder/joiner.ts';
import { resolveSpotterOptions, type Keyword, type KeywordDecoder, type SpotterOptions } from '../decoder/keywords.ts';
import { TransducerKeywordSpotter } from '../decoder/transducer-keyword-spotter.ts';
import { requireCtc } from '../encoder/checks.ts';
import type { Engine } from '../encoder/engine.ts';
import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { Listener, createListener, type ListenerOptions, type ListenerParts } from './listener.ts';
import { load, type LoadOptions } from './load.ts';
import type { StreamOptions } from './recognizer.ts';
import { timedKeywords, type TimedKeyword } from './results.ts';
import type { OnlineStream, StreamSearch } from './stream.ts';

/** The heads that keywords can be looked for in. */
export const KEYWORD_HEADS = ['ctc', 'transducer'] as const;
export type KeywordHead = (typeof KEYWORD_HEADS)[number];

/** What a keyword spotter is told. */
export interface KeywordSpotterOptions
  extends ListenerOptions, Omit<SpotterOptions, 'vocabSize' | 'blankId' | 'unkId'> {
  /** The head to look for them in; `ctc`, which is the surer one, where the model has it. */
  head?: KeywordHead;
}

/** Makes searches for keywords. */
interface KeywordSearches {
  create: (keywords: readonly Keyword[]) => KeywordDecoder;
  /** What decides about what they hear. */
  decisive: Readonly<Record<string, unknown>>;
}

async function keywordSearches(model: Model, options: KeywordSpotterOptions): Promise<KeywordSearches> {
  const { blankId, unkId } = model.config;
  const { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty } = options;
  const numbers = { maxActivePaths, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty };
  const search: SpotterOptions = { vocabSize: model.sizes.vocabSize ?? 0, blankId, unkId, ...numbers };
  const { head = model.sizes.hasCtc ? 'ctc' : 'transducer' } = options;
  const decisive = { head, ...resolveSpotterOptions(search) };
  if (head === 'ctc') {
    requireCtc(model.sizes);
    return { create: (keywords) => new CtcKeywordSpotter(keywords, search), decisive };
  }
  if (head !== 'transducer') {
    throw new RillError('bad-argument', {
      got: `head: ${JSON.stringify(head)}`,
      expected: KEYWORD_HEADS.join(' or '),
      remedy: 'Leave it out.',
    });
  }
  const joiner = await TransducerJoiner.load(model);
  return { create: (keywords) => new TransducerKeywordSpotter(joiner, keywords, search), decisive };
}

/**
 * Keyword spotting, many streams over one encoder: over the CTC head where the model has one, else over the transducer.
 * Keywords are text: each stream can have its own, and change them while it runs.
 *
 * ```ts
 * const spotter = await KeywordSpotter.load('/models/wake-words/');
 * const stream = spotter.createStream();
 * stream.acceptWaveform({ samples, sampleRate });
 * while (spotter.isReady(stream)) await spotter.decode(stream);
 * for (const { keyword, start } of spotter.getResult(stream)) console.log(keyword, start);
 * ```
 */
export class KeywordSpotter extends Listener {
  readonly #searches: KeywordSearches;

  private constructor(parts: ListenerParts, searches: KeywordSearches) {
    super(parts);
    this.#searches = searches;
  }

  /**
   * Fetches a model, opens a device and makes a spotter of both: all that a page needs.
   *
   * @param source the address of a model folder, or a model
   * @throws RillError `no-webgpu`, `no-adapter`, `network`, `bad-model`, `bad-argument`, `shader`, `gpu`, `device-lost`;
   * what the signal is aborted with.
   */
  static async load(
    source: string | Model,
    options: LoadOptions & KeywordSpotterOptions = {},
  ): Promise<KeywordSpotter> {
    return load(source, options, (engine, model, onTensor) =>
      KeywordSpotter.create(engine, model, { ...options, onTensor }),
    );
  }

  /**
   * Loads the model onto an engine that is open.
   *
   * @throws RillError `bad-model` without tokens, a head, or the one that the options name, `bad-argument` for options out of
   * range, `shader`, `gpu`, `device-lost`.
   */
  static async create(engine: Engine, model: Model, options: KeywordSpotterOptions = {}): Promise<KeywordSpotter> {
    const searches = await keywordSearches(model, options);
    // Options out of range are refused here, not at the first stream.
    const { input } = searches.create([]);
    const { parts } = await createListener(engine, model, options, async (encoder) => {
      await encoder.provide(input);
      return { input };
    });
    return new KeywordSpotter(parts, searches);
  }

  /**
   * @param options keywords of the stream's own, as the text of a keyword file; the spotter's by default
   * @throws RillError `busy` when all slots are taken, `bad-model` for tokens that the model does not have.
   */
  createStream({ keywords }: Pick<StreamOptions, 'keywords'> = {}): OnlineStream {
    return this.openStream(keywords, undefined);
  }

  protected override get settings(): Readonly<Record<string, unknown>> {
    return this.#searches.decisive;
  }

  protected override searchFor(hotwords: string | undefined): StreamSearch {
    return { hotwords, createDecoder: (_, keywords) => this.#searches.create(keywords) };
  }

  /** Keywords heard since the start or the last reset. */
  getResult(stream: OnlineStream): TimedKeyword[] {
    if (this.hasEnded(stream)) {
      stream.settle({ ended: true });
    }
    return timedKeywords(stream);
  }

  /** Forgets what was heard and what was half heard; the audio goes on. */
  reset(stream: OnlineStream): void {
    stream.nextSegment(false);
  }
}
