import { DEFAULT_ACTIVE_PATHS } from '../decoder/beam.ts';
import { ContextGraph } from '../decoder/context-graph.ts';
import { checkSearchNumbers, type Decoder, type DecoderEnding } from '../decoder/decoder.ts';
import { TransducerJoiner } from '../decoder/joiner.ts';
import {
  createDecoder,
  defaultMethod,
  isTransducerMethod,
  type DecodingMethod,
  type SearchParts,
} from '../decoder/methods.ts';
import { parseHotwords } from '../decoder/phrase-files.ts';
import type { Encoder } from '../encoder/encoder.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, GREEDY_TOKENS, JOINER_ENCODER_PROJ, type HeadOutput } from '../encoder/outputs.ts';
import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';

/** How to decode. */
export interface SearchSettings {
  /** `ctc_greedy` when the model has a CTC head, else `greedy_search`. */
  decodingMethod?: DecodingMethod;
  /** Paths that a beam search keeps; 4 by default. */
  maxActivePaths?: number;
  /**
   * Where the greedy searches choose. The CPU reads `ctc_log_probs` or `joiner_encoder_proj` of each frame, the GPU gives
   * tokens. `auto`, the default, is the encoder's own device for `ctc_greedy`; for `greedy_search`, which runs decoder and
   * joiner, it is the GPU from `maxStreams` 4 on, where the encoder runs on one.
   */
  greedySearchOn?: 'auto' | 'cpu' | 'gpu';
  /** Subtracted from the blank's logit: more for fewer deletions; 0 by default. */
  blankPenalty?: number;
  /** Phrases to favour, as the text of a hotwords file; none by default. Needs a beam search. */
  hotwords?: string;
  /** Added for each token of a hotword, unless its line says otherwise; 1.5 by default. */
  hotwordsScore?: number;
}

const DEFAULT_HOTWORDS_SCORE = 1.5;

/** Streams from which decoder and joiner run on the GPU: what they cost the CPU grows with them. */
const GPU_SEARCH_STREAMS = 4;

/** The output that a method's searches read, and whether choices are made in the encoder's step. */
function inputOf(
  encoder: Encoder,
  method: DecodingMethod,
  { greedySearchOn: where = 'auto' }: SearchSettings,
): HeadOutput {
  if (where !== 'auto' && where !== 'cpu' && where !== 'gpu') {
    throw new RillError('bad-argument', {
      got: `greedySearchOn: ${JSON.stringify(where)}`,
      expected: 'auto, cpu or gpu',
      remedy: 'Leave it out.',
    });
  }
  if (method === 'ctc_greedy') {
    return where === 'cpu' ? CTC_LOG_PROBS : CTC_TOKENS;
  }
  if (method === 'greedy_search') {
    const able = encoder.canProvide(GREEDY_TOKENS);
    if (where === 'gpu' && !able) {
      throw new RillError('bad-argument', {
        got: 'greedySearchOn: "gpu" for an encoder that runs on the CPU',
        expected: 'auto or cpu',
        remedy: 'Leave it out.',
      });
    }
    const worthwhile = able && encoder.capacity.maxStreams >= GPU_SEARCH_STREAMS;
    return where === 'gpu' || (where === 'auto' && worthwhile) ? GREEDY_TOKENS : JOINER_ENCODER_PROJ;
  }
  return isTransducerMethod(method) ? JOINER_ENCODER_PROJ : CTC_LOG_PROBS;
}

/** What the decoders that read an output are made of. */
async function partsOf(model: Model, input: HeadOutput): Promise<SearchParts> {
  switch (input) {
    case CTC_LOG_PROBS:
      return {};
    case CTC_TOKENS:
      return { picked: true };
    case GREEDY_TOKENS:
      return { transducer: model.sizes.transducer };
    case JOINER_ENCODER_PROJ:
      return { transducer: await TransducerJoiner.load(model) };
  }
}

/** A way of decoding, set up for one model: its head attached to the encoder, its settings checked. */
export class Search {
  readonly method: DecodingMethod;
  /** The output that its decoders read. */
  readonly input: HeadOutput;
  readonly #model: Model;
  readonly #parts: SearchParts;
  readonly #settings: SearchSettings;
  readonly #hotwords: ContextGraph | undefined;

  private constructor(model: Model, method: DecodingMethod, parts: SearchParts, settings: SearchSettings) {
    this.method = method;
    this.#model = model;
    this.#parts = parts;
    this.#settings = settings;
    this.#hotwords = this.#contextGraph(settings.hotwords ?? '');
    // Settings that do not go together are refused here, not at the first decoder.
    this.input = this.decoderFactory()().input;
  }

  /**
   * Asks the encoder for the output that the method needs.
   *
   * @throws RillError `bad-model` without that head, `bad-argument` for settings out of range.
   */
  static async attach(encoder: Encoder, model: Model, settings: SearchSettings = {}): Promise<Search> {
    const { decodingMethod: method = defaultMethod(model.sizes), blankPenalty, hotwordsScore } = settings;
    checkSearchNumbers({ blankPenalty, hotwordsScore });
    const input = inputOf(encoder, method, settings);
    const parts = await partsOf(model, input);
    await encoder.provide(input, { blankPenalty });
    return new Search(model, method, parts, settings);
  }

  /** What decides about what is heard, defaults filled in. */
  get decisive(): Readonly<Record<string, unknown>> {
    const { blankPenalty = 0, hotwords = '', hotwordsScore = DEFAULT_HOTWORDS_SCORE } = this.#settings;
    const { maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#settings;
    return { decodingMethod: this.method, maxActivePaths, blankPenalty, hotwords, hotwordsScore };
  }

  /**
   * A maker of decoders for one stream, each going on from where another ended, or fresh.
   *
   * @param hotwords as the text of a hotwords file; those of the settings by default
   * @throws RillError `bad-argument` when they do not fit the method, `bad-model` for tokens the model does not have.
   */
  decoderFactory(hotwords?: string): (before?: DecoderEnding) => Decoder {
    const { sizes, config } = this.#model;
    const { maxActivePaths, blankPenalty } = this.#settings;
    const options = {
      vocabSize: sizes.vocabSize ?? 0,
      blankId: config.blankId,
      unkId: config.unkId,
      maxActivePaths,
      blankPenalty,
      hotwords: hotwords === undefined ? this.#hotwords : this.#contextGraph(hotwords),
    };
    const create = (before?: DecoderEnding) => createDecoder(this.method, options, this.#parts, before);
    // Hotwords that do not fit are refused here, not at the first chunk.
    create();
    return create;
  }

  #contextGraph(hotwords: string): ContextGraph | undefined {
    const { tokens } = this.#model;
    if (hotwords === '') {
      return undefined;
    }
    if (!tokens) {
      throw new RillError('bad-model', {
        got: 'hotwords for a model without tokens.txt',
        expected: 'a token table to read them by',
        remedy: 'Put the tokens.txt of the training run into the model folder.',
      });
    }
    const phrases = parseHotwords(hotwords, tokens, this.#settings.hotwordsScore ?? DEFAULT_HOTWORDS_SCORE);
    return phrases.length > 0 ? new ContextGraph(phrases) : undefined;
  }
}
