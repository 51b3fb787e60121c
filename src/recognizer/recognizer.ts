import { isEndpoint, resolveEndpointRules, type EndpointRules } from '../decoder/endpoint.ts';
import type { Keyword } from '../decoder/keywords.ts';
import { parseKeywords } from '../decoder/phrase-files.ts';
import type { DecodingMethod } from '../decoder/methods.ts';
import { RnnEncoder, type EncoderOptions } from '../encoder/encoder.ts';
import type { GpuContext } from '../gpu/context.ts';
import { RillError } from '../errors.ts';
import { secondsPerFrame } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import type { TokenTable } from '../model/tokens.ts';
import { joinWords } from '../text/words.ts';
import { StreamEngine } from './engine.ts';
import { load, type LoadOptions } from './load.ts';
import { resolveStreamingOptions, type StreamingOptions } from './options.ts';
import { StreamReports } from './reports.ts';
import { seconds, timedKeywords, type TimedKeyword } from './results.ts';
import { Search, type SearchSettings } from './search.ts';
import { OnlineStream, type WaveformChunk } from './stream.ts';

export interface RecognizerOptions extends SearchSettings, StreamingOptions, EncoderOptions {
  /** When {@link OnlineRecognizer.isEndpoint} holds; rules left out keep their defaults. */
  endpointRules?: Partial<EndpointRules>;
  /** Keywords to report, as the text of a keyword file; the model folder's own by default. */
  keywords?: string;
}

/** What a stream may have of its own. */
export interface StreamOptions {
  /** Keywords to report, as the text of a keyword file; the recognizer's by default. */
  keywords?: string;
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
  /** Words that are complete and that nothing heard later can change. */
  words: TimedWord[];
  keywords: TimedKeyword[];
  /** Segments before this one. */
  segment: number;
  /** Seconds from the start of the stream to the start of the segment. */
  startTime: number;
  /** Nothing more will come in this segment: an endpoint, a reset, or the end of the input has closed it. */
  isFinal: boolean;
}

/** Steps that a chunk size is judged by: the middle of three. */
const MEASURED_STEPS = 3;

/** Everything a recognizer is made of. */
interface Parts {
  model: Model;
  tokens: TokenTable;
  engine: StreamEngine;
  search: Search;
  tailPaddingSeconds: number;
  keywords: readonly Keyword[];
  endpointRules: Readonly<EndpointRules>;
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
 * if (recognizer.isEndpoint(stream)) console.log(recognizer.reset(stream).text, 'and on');
 * ```
 */
export class OnlineRecognizer {
  readonly #parts: Parts;
  /** A device that was opened for this recognizer alone. */
  #ownContext: GpuContext | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Fetches a model, opens a GPU and makes a recognizer of both: all that a page needs.
   *
   * @param source the address of a model folder, or a model
   * @throws RillError `no-webgpu`, `no-adapter`, `network`, `bad-model`, `bad-argument`, `shader`, `gpu`,
   * `device-lost`; what the signal is aborted with.
   */
  static async load(source: string | Model, options: LoadOptions & RecognizerOptions = {}): Promise<OnlineRecognizer> {
    const { loaded, ownContext } = await load(source, options, (context, model) =>
      OnlineRecognizer.create(context, model, options),
    );
    loaded.#ownContext = ownContext;
    return loaded;
  }

  /**
   * Loads the model onto the GPU.
   *
   * @throws RillError `bad-model` without the head that the method needs or without tokens, `bad-argument` for
   * options out of range, `shader`, `gpu`, `device-lost`.
   */
  static async create(context: GpuContext, model: Model, options: RecognizerOptions = {}): Promise<OnlineRecognizer> {
    const { tokens, chunkFrames, tailPaddingSeconds } = resolveStreamingOptions(model, options);
    const keywords = parseKeywords(options.keywords ?? model.keywords ?? '', tokens);
    const endpointRules = resolveEndpointRules(options.endpointRules);
    const encoder = await RnnEncoder.create(context, model, {
      ...options,
      maxFrames: options.maxFrames ?? chunkFrames,
    });
    try {
      const search = await Search.attach(encoder, model, options);
      const engine = new StreamEngine(encoder, chunkFrames, search.input);
      return new OnlineRecognizer({ model, tokens, engine, search, tailPaddingSeconds, keywords, endpointRules });
    } catch (error) {
      encoder.dispose();
      throw error;
    }
  }

  get encoder(): RnnEncoder {
    return this.#parts.engine.encoder;
  }

  /** Encoder frames of one stream in one step; can be changed at any time, up to `maxFrames`. */
  get chunkFrames(): number {
    return this.#parts.engine.chunkFrames;
  }

  set chunkFrames(frames: number) {
    this.#parts.engine.chunkFrames = frames;
  }

  /** @internal The text of token ids. */
  textOf(tokens: readonly number[]): string {
    return this.#parts.tokens.text(tokens);
  }

  get decodingMethod(): DecodingMethod {
    return this.#parts.search.method;
  }

  /**
   * @throws RillError `busy` when all slots are taken, `bad-argument` for hotwords that do not fit the search, `bad-model`
   * for phrases that the model cannot spell.
   */
  createStream({ hotwords, keywords }: StreamOptions = {}): OnlineStream {
    const { model, search, tailPaddingSeconds } = this.#parts;
    const createDecoder = search.decoderFactory(hotwords);
    const own = keywords === undefined ? this.#parts.keywords : this.parseKeywords(keywords);
    return new OnlineStream({
      model,
      state: this.encoder.createState(),
      createDecoder,
      keywords: own,
      tailPaddingSeconds,
    });
  }

  /** Whether a whole chunk waits, or, at the end of the input, any part of one. */
  isReady(stream: OnlineStream): boolean {
    return this.#parts.engine.isReady(stream);
  }

  /**
   * Advances each given stream that is ready by one chunk, in one GPU step for as many as it has lanes. Calls may
   * overlap: results come in their order.
   *
   * @throws RillError `closed`, `device-lost`, `gpu`. After a step that was lost on the GPU its streams refuse to go on
   * until they are restarted.
   */
  decode(streams: OnlineStream | readonly OnlineStream[]): Promise<void> {
    return this.#parts.engine.decode(streams instanceof OnlineStream ? [streams] : streams);
  }

  /** What was heard in the current segment so far. May be asked for as often as one likes. */
  getResult(stream: OnlineStream): RecognitionResult {
    return this.#result(stream, this.#parts.engine.hasEnded(stream));
  }

  /** @param isFinal the segment is at its end: the last word and keyword are complete, whatever follows */
  #result(stream: OnlineStream, isFinal: boolean): RecognitionResult {
    const { tokens: table } = this.#parts;
    const { tokens, segment, logProb } = stream;
    const at = (frame: number) => seconds(stream, frame);
    if (isFinal) {
      stream.settle({ ended: this.#parts.engine.hasEnded(stream) });
    }
    return {
      text: table.text(tokens.map(({ id }) => id)),
      tokens: tokens.map(({ id }) => id),
      timestamps: tokens.map(({ frame }) => at(frame)),
      tokenLogProbs: tokens.map((token) => token.logProb),
      logProb,
      words: joinWords(isFinal ? tokens : tokens.slice(0, stream.settled), table)
        .filter(({ complete }) => complete || isFinal)
        .map(({ text, startFrame, endFrame }) => ({ word: text, start: at(startFrame), end: at(endFrame) })),
      keywords: timedKeywords(stream),
      segment: segment.index,
      startTime: at(segment.startFrame),
      isFinal,
    };
  }

  /** Whether the speaker has come to an end, by the endpoint rules. */
  isEndpoint(stream: OnlineStream): boolean {
    const { hasSpeech, trailingBlanks, frames } = stream.heard;
    const { secondsPerFrame } = stream;
    return isEndpoint(this.#parts.endpointRules, {
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
   * @returns the segment's last result, its last word complete
   */
  reset(stream: OnlineStream, { encoder = false } = {}): RecognitionResult {
    stream.state.check();
    const result = this.#result(stream, true);
    stream.nextSegment(encoder);
    return result;
  }

  /** Starts a stream afresh, for the next recording: zero states, nothing heard. */
  restart(stream: OnlineStream): void {
    stream.restart();
  }

  /**
   * Transcribes audio as it comes: a result after every chunk that brought something new, and the final one of each
   * segment, which an endpoint or the end of the audio closes.
   *
   * @param audio samples in any pieces; ends when the iterable does
   * @throws RillError as {@link OnlineStream.acceptWaveform} and {@link decode} do
   */
  async *transcribe(audio: AsyncIterable<WaveformChunk> | Iterable<WaveformChunk>): AsyncGenerator<RecognitionResult> {
    const stream = this.createStream();
    try {
      const reports = new StreamReports(this, stream);
      for await (const chunk of audio) {
        stream.acceptWaveform(chunk);
        yield* this.#advance(stream, reports);
      }
      stream.inputFinished();
      yield* this.#advance(stream, reports);
    } finally {
      stream.dispose();
    }
  }

  /** {@link transcribe} as a transform: waveform chunks in, results out. It takes a slot when the first chunk comes. */
  transcriptionStream(): TransformStream<WaveformChunk, RecognitionResult> {
    type Controller = TransformStreamDefaultController<RecognitionResult>;
    let opened: { stream: OnlineStream; reports: StreamReports } | undefined;
    const open = () => {
      const stream = this.createStream();
      return (opened = { stream, reports: new StreamReports(this, stream) });
    };
    /** Passes on what is new; a failure ends the stream and gives its slot back. */
    const pass = async (controller: Controller, feed: (stream: OnlineStream) => void) => {
      const { stream, reports } = opened ?? open();
      try {
        feed(stream);
        for await (const result of this.#advance(stream, reports)) {
          controller.enqueue(result);
        }
      } catch (error) {
        stream.dispose();
        throw error;
      }
    };
    const transformer: Transformer<WaveformChunk, RecognitionResult> & { cancel: () => void } = {
      transform: (chunk, controller) =>
        pass(controller, (stream) => {
          stream.acceptWaveform(chunk);
        }),
      flush: async (controller) => {
        await pass(controller, (stream) => {
          stream.inputFinished();
        });
        opened?.stream.dispose();
      },
      // Called where streams are up to date with the standard: the reader has left, or the writer aborted.
      cancel: () => {
        opened?.stream.dispose();
      },
    };
    return new TransformStream(transformer);
  }

  /** Decodes what is ready and yields what there is to tell; at the end of the input also where nothing was ready. */
  async *#advance(stream: OnlineStream, reports: StreamReports): AsyncGenerator<RecognitionResult> {
    while (this.isReady(stream)) {
      await this.decode(stream);
      const result = reports.next();
      if (result) {
        yield result;
      }
    }
    const last = stream.isInputFinished ? reports.next() : undefined;
    if (last) {
      yield last;
    }
  }

  /**
   * The largest chunk whose words come within a latency: the audio of the chunk, then compute and readback as
   * measured now on this adapter; at most `maxFrames`, which is `chunkFrames` unless it was given. Takes a free slot
   * for the time of the measurement.
   *
   * @param latencyMs from the end of a word's sound to its text
   * @returns encoder frames, at least 1; set {@link chunkFrames} to it
   * @throws RillError `busy` when all slots are taken, `bad-argument`.
   */
  async chooseChunkFrames({ latencyMs }: { latencyMs: number }): Promise<number> {
    if (!(latencyMs > 0)) {
      throw new RillError('bad-argument', {
        got: `latencyMs: ${latencyMs}`,
        expected: 'milliseconds, more than 0',
        remedy: 'A second is short for captions and long for commands.',
      });
    }
    const { capacity, sizes } = this.encoder;
    const frameMs = 1000 * secondsPerFrame(this.#parts.model.config);
    const state = this.encoder.createState();
    try {
      let chosen = 1;
      for (let frames = 1; frames <= capacity.maxFrames && frames * frameMs < latencyMs; frames++) {
        const times: number[] = [];
        for (let i = 0; i < MEASURED_STEPS; i++) {
          const context = state.started ? 0 : CONTEXT_FRAMES;
          const input = new Float32Array((SUBSAMPLING_FACTOR * frames + context) * sizes.numFeatures);
          const start = performance.now();
          await this.encoder.step([{ state, features: input }], [this.#parts.engine.input]);
          times.push(performance.now() - start);
        }
        const [, median] = times.sort((a, b) => a - b);
        if (frames * frameMs + median > latencyMs) {
          break;
        }
        chosen = frames;
      }
      return chosen;
    } finally {
      state.dispose();
    }
  }

  /**
   * Favours other phrases in a stream: from its next segment on, and at once where nothing of this one was decoded yet.
   *
   * @param hotwords as the text of a hotwords file; none when empty
   * @throws RillError `bad-argument` for hotwords that do not fit the search, `bad-model` for phrases that the model
   * cannot spell; the stream goes on as before then.
   */
  setHotwords(stream: OnlineStream, hotwords: string): void {
    stream.setSearch(this.#parts.search.decoderFactory(hotwords));
  }

  /** Reads another keyword file's text, for {@link OnlineStream.setKeywords}. */
  parseKeywords(text: string): Keyword[] {
    return parseKeywords(text, this.#parts.tokens);
  }

  dispose(): void {
    this.encoder.dispose();
    this.#ownContext?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
