import type { Keyword } from '../decoder/keywords.ts';
import { parseKeywords } from '../decoder/phrase-files.ts';
import type { Encoder, EncoderOptions } from '../encoder/encoder.ts';
import type { DeviceInfo, Engine } from '../encoder/engine.ts';
import type { HeadOutput } from '../encoder/outputs.ts';
import type { Model } from '../model/model.ts';
import type { TokenTable } from '../model/tokens.ts';
import { SnapshotWriter } from '../snapshot/bytes.ts';
import { seal, unseal } from '../snapshot/seal.ts';
import { resolveStreamingOptions, type StreamingOptions } from './options.ts';
import { originOf, requireOrigin, writeOrigin, type Origin } from './origin.ts';
import { StreamSteps } from './stream-steps.ts';
import { readTexts, restoring, writeTexts, type StreamSnapshot } from './stream-snapshot.ts';
import { OnlineStream, type StreamKeywords, type StreamSearch } from './stream.ts';

/** Options of everything that listens. */
export interface ListenerOptions extends StreamingOptions, EncoderOptions {
  /** Keywords to report, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
}

/** What a listener is made of. */
export interface ListenerParts {
  engine: Engine;
  model: Model;
  tokens: TokenTable;
  keywords: readonly Keyword[];
  tailPaddingSeconds: number;
  steps: StreamSteps;
}

/**
 * Loads a model's encoder for whoever listens with it.
 *
 * @param prepare asks the encoder for what the searches need; gives the output that they read
 * @throws RillError `bad-model` without tokens, `bad-argument` for options out of range; as `Engine.createEncoder`.
 */
export async function createListener<Prepared extends { input: HeadOutput }>(
  engine: Engine,
  model: Model,
  options: ListenerOptions,
  prepare: (encoder: Encoder) => Promise<Prepared>,
): Promise<{ parts: ListenerParts; prepared: Prepared }> {
  const { tokens, chunkFrames, tailPaddingSeconds } = resolveStreamingOptions(model, options);
  const keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
  const encoder = await engine.createEncoder(model, { ...options, maxFrames: options.maxFrames ?? chunkFrames });
  try {
    const prepared = await prepare(encoder);
    const steps = new StreamSteps(encoder, chunkFrames, prepared.input);
    return { parts: { engine, model, tokens, keywords, tailPaddingSeconds, steps }, prepared };
  } catch (error) {
    encoder.dispose();
    throw error;
  }
}

/** What a recognizer and a spotter have in common: streams over one encoder, each with its search. */
export abstract class Listener {
  readonly #parts: ListenerParts;
  #ownsEngine = false;
  #origin: Promise<Origin> | undefined;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /** @internal The engine was opened for this listener alone, and goes with it. */
  ownEngine(): this {
    this.#ownsEngine = true;
    return this;
  }

  /** What it runs on, and why. */
  get device(): Readonly<DeviceInfo> {
    return this.#parts.engine.device;
  }

  /** The encoder that all streams run through. */
  get encoder(): Encoder {
    return this.#parts.steps.encoder;
  }

  /** Encoder frames of one stream in one step; can be changed at any time, up to `maxFrames`. */
  get chunkFrames(): number {
    return this.#parts.steps.chunkFrames;
  }

  /** Takes effect with the next step. @throws RillError `bad-argument` for more than `maxFrames`. */
  set chunkFrames(frames: number) {
    this.#parts.steps.chunkFrames = frames;
  }

  /**
   * Looks for other keywords in a stream from now on; what was heard so far stays.
   *
   * @param keywords as the text of a keyword file
   * @throws RillError `bad-model` for lines that the model cannot spell: nothing has changed then.
   */
  setKeywords(stream: OnlineStream, keywords: string): void {
    stream.setKeywords({ text: keywords, list: this.parseKeywords(keywords) });
  }

  /** @internal Reads a keyword file's text. */
  parseKeywords(text: string): Keyword[] {
    return parseKeywords(text, this.#parts.tokens);
  }

  /** Whether a whole chunk waits, or, at the end of the input, any part of one. */
  isReady(stream: OnlineStream): boolean {
    return this.#parts.steps.isReady(stream);
  }

  /**
   * Advances each given stream that is ready by one chunk, in one step for as many as the encoder has lanes. Calls may
   * overlap: results come in their order.
   *
   * @throws RillError `closed`, `device-lost`, `gpu`. After a step that was lost on the GPU its streams refuse to go on
   * until they are restarted.
   */
  decode(streams: OnlineStream | readonly OnlineStream[]): Promise<void> {
    return this.#parts.steps.decode(streams instanceof OnlineStream ? [streams] : streams);
  }

  /**
   * All of a stream as bytes, between two of its steps: steps that are under way end first, steps that are asked for
   * meanwhile wait. {@link restoreStream} makes a stream of it that hears byte for byte what this one would have heard, on
   * the same engine; on the other one its numbers differ by rounding. Hotwords and keywords of its own come with it.
   *
   * @throws RillError `closed`, `device-lost`, `gpu`; what its last step failed with.
   */
  async snapshot(stream: OnlineStream): Promise<StreamSnapshot> {
    const to = new SnapshotWriter();
    writeOrigin(to, await this.#originHere());
    return this.#parts.steps.whilePaused(stream, async () => {
      const { samples, told } = stream;
      writeTexts(to, stream.texts);
      await stream.save(to);
      return { bytes: seal('RLST', to.written), samples, results: told.count };
    });
  }

  /**
   * A stream that goes on where another was when {@link snapshot} gave these bytes, here or on another machine. Model and
   * options have to be the same; `maxStreams` and the like may be others. `chunkFrames` may, too, but then endpoints are
   * looked for at other places.
   *
   * @param bytes may come from anywhere: whatever they are, nothing is run, and no more is made of them than they hold
   * @throws RillError `bad-snapshot` for bytes that are damaged, or of another model or other options, `busy` when all slots
   * are taken.
   */
  async restoreStream(bytes: Uint8Array): Promise<OnlineStream> {
    const from = unseal('RLST', bytes);
    requireOrigin(from, await this.#originHere());
    const { keywords, hotwords, nextHotwords } = readTexts(from);
    const parsed = restoring(() => this.#keywords(keywords));
    const search = restoring(() => this.searchFor(hotwords));
    const next = nextHotwords === hotwords ? undefined : restoring(() => this.searchFor(nextHotwords));
    const stream = this.#createStream(parsed, search);
    try {
      stream.restore(from);
      from.end();
      if (next) {
        stream.setSearch(next);
      }
      return stream;
    } catch (error) {
      stream.dispose();
      throw error;
    }
  }

  /** Frees the encoder's memory, and the device if it was opened for this alone. */
  dispose(): void {
    this.encoder.dispose();
    if (this.#ownsEngine) {
      this.#parts.engine.dispose();
    }
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What another listener over the same encoder is made of. */
  protected partsFor(input: HeadOutput): ListenerParts {
    return { ...this.#parts, steps: new StreamSteps(this.encoder, this.chunkFrames, input) };
  }

  protected get model(): Model {
    return this.#parts.model;
  }

  protected get tokens(): TokenTable {
    return this.#parts.tokens;
  }

  /** The output that searches read. */
  protected get input(): HeadOutput {
    return this.#parts.steps.input;
  }

  /** Whether all of a stream's audio was decoded and no more can come. */
  protected hasEnded(stream: OnlineStream): boolean {
    return this.#parts.steps.hasEnded(stream);
  }

  /** What decides about what its streams hear, beside the model and the texts of a stream: by name. */
  protected abstract get settings(): Readonly<Record<string, unknown>>;

  /** The searches of a stream. @param hotwords as the text of a hotwords file; the listener's own by default */
  protected abstract searchFor(hotwords: string | undefined): StreamSearch;

  /**
   * @param keywords as the text of a keyword file; the listener's own by default
   * @param hotwords as the text of a hotwords file; the listener's own by default
   */
  protected openStream(keywords: string | undefined, hotwords: string | undefined): OnlineStream {
    return this.#createStream(this.#keywords(keywords), this.searchFor(hotwords));
  }

  #createStream(keywords: StreamKeywords, search: StreamSearch): OnlineStream {
    const { model, tailPaddingSeconds } = this.#parts;
    return new OnlineStream({ model, state: this.encoder.createState(), search, keywords, tailPaddingSeconds });
  }

  #keywords(text: string | undefined): StreamKeywords {
    return text === undefined ? { list: this.#parts.keywords } : { text, list: this.parseKeywords(text) };
  }

  /** Made when it is asked for first: it reads some of the weights. */
  #originHere(): Promise<Origin> {
    const { model, keywords, tailPaddingSeconds } = this.#parts;
    this.#origin ??= originOf(model, { keywords, tailPaddingSeconds, ...this.settings });
    return this.#origin;
  }
}
