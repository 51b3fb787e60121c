import { isEndpoint, resolveEndpointRules, type EndpointRule, type EndpointRules } from '../decoder/endpoint.ts';
import type { DecodingMethod } from '../decoder/methods.ts';
import type { Engine } from '../encoder/engine.ts';
import { timeSteps } from '../encoder/timing.ts';
import { RillError } from '../errors.ts';
import { secondsPerFrame } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { joinWords } from '../text/words.ts';
import type { Waveform } from '../waveform/waveform.ts';
import { Listener, createListener, type ListenerOptions, type ListenerParts } from './listener.ts';
import { load, type LoadOptions } from './load.ts';
import { StreamReports } from './reports.ts';
import { seconds, timedKeywords, type RecognitionResult } from './results.ts';
import { Search, type SearchSettings } from './search.ts';
import type { OnlineStream, StreamSearch } from './stream.ts';

/** What a recognizer is told. */
export interface RecognizerOptions extends SearchSettings, ListenerOptions {
  /**
   * When {@link OnlineRecognizer.isEndpoint} holds: when any rule does. Rules that are left out are sherpa-onnx's: rule1 is
   * 2.4 s of silence, rule2 1.2 s of silence after something was heard, rule3 a segment of 20 s.
   */
  endpointRules?: Partial<Record<'rule1' | 'rule2' | 'rule3', EndpointRule>>;
}

/** What a stream may have of its own. */
export interface StreamOptions {
  /** Keywords to report, as the text of a keyword file; the recognizer's by default. */
  keywords?: string;
  /** Phrases to favour, as the text of a hotwords file; the recognizer's by default. */
  hotwords?: string;
}

/** Steps that a chunk size is judged by: the middle of three. */
const MEASURED_STEPS = 3;

/**
 * Streaming speech recognition: many streams over one encoder, CTC or transducer search, greedy or beam.
 *
 * ```ts
 * const recognizer = await OnlineRecognizer.load('/models/wake-words/');
 * const stream = recognizer.createStream();
 * stream.acceptWaveform({ samples, sampleRate });
 * while (recognizer.isReady(stream)) await recognizer.decode(stream);
 * console.log(recognizer.getResult(stream).text);
 * if (recognizer.isEndpoint(stream)) console.log(recognizer.reset(stream).text, 'and on');
 * ```
 */
export class OnlineRecognizer extends Listener {
  readonly #search: Search;
  readonly #endpointRules: Readonly<EndpointRules>;

  private constructor(parts: ListenerParts, search: Search, endpointRules: Readonly<EndpointRules>) {
    super(parts);
    this.#search = search;
    this.#endpointRules = endpointRules;
  }

  /**
   * Fetches a model, opens a device and makes a recognizer of both: all that a page needs.
   *
   * @param source the address of a model folder, or a model
   * @throws RillError `no-webgpu`, `no-adapter`, `network`, `bad-model`, `bad-argument`, `shader`, `gpu`,
   * `device-lost`; what the signal is aborted with.
   */
  static async load(source: string | Model, options: LoadOptions & RecognizerOptions = {}): Promise<OnlineRecognizer> {
    return load(source, options, (engine, model, onTensor) =>
      OnlineRecognizer.create(engine, model, { ...options, onTensor }),
    );
  }

  /**
   * Loads the model onto an engine that is open.
   *
   * @throws RillError `bad-model` without the head that the method needs or without tokens, `bad-argument` for
   * options out of range, `shader`, `gpu`, `device-lost`.
   */
  static async create(engine: Engine, model: Model, options: RecognizerOptions = {}): Promise<OnlineRecognizer> {
    const endpointRules = resolveEndpointRules(options.endpointRules);
    const { parts, prepared } = await createListener(engine, model, options, (encoder) =>
      Search.attach(encoder, model, options),
    );
    return new OnlineRecognizer(parts, prepared, endpointRules);
  }

  /**
   * Another search over the same encoder, beside this one: weights and places for streams are shared, and disposing of
   * one disposes of both.
   *
   * @throws RillError as {@link create}, for the head and the settings.
   */
  async withSearch(settings: SearchSettings): Promise<OnlineRecognizer> {
    const search = await Search.attach(this.encoder, this.model, settings);
    return new OnlineRecognizer(this.partsFor(search.input), search, this.#endpointRules);
  }

  /** @internal The text of token ids. */
  textOf(tokens: readonly number[]): string {
    return this.tokens.text(tokens);
  }

  /** The search that its streams are decoded by. */
  get decodingMethod(): DecodingMethod {
    return this.#search.method;
  }

  /**
   * @throws RillError `busy` when all slots are taken, `bad-argument` for hotwords that do not fit the search, `bad-model`
   * for phrases that the model cannot spell.
   */
  createStream({ hotwords, keywords }: StreamOptions = {}): OnlineStream {
    return this.openStream(keywords, hotwords);
  }

  protected override get settings(): Readonly<Record<string, unknown>> {
    return { ...this.#search.decisive, endpointRules: this.#endpointRules };
  }

  protected override searchFor(hotwords: string | undefined): StreamSearch {
    return { hotwords, createDecoder: this.#search.decoderFactory(hotwords) };
  }

  /** What was heard in the current segment so far. May be asked for as often as one likes. */
  getResult(stream: OnlineStream): RecognitionResult {
    return this.#result(stream, this.hasEnded(stream));
  }

  /** @param isFinal the segment is at its end: the last word and keyword are complete, whatever follows */
  #result(stream: OnlineStream, isFinal: boolean): RecognitionResult {
    const table = this.tokens;
    const { tokens, segment, logProb } = stream;
    const at = (frame: number) => seconds(stream, frame);
    if (isFinal) {
      stream.settle({ ended: this.hasEnded(stream) });
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
  async *transcribe(audio: AsyncIterable<Waveform> | Iterable<Waveform>): AsyncGenerator<RecognitionResult> {
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
  transcriptionStream(): TransformStream<Waveform, RecognitionResult> {
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
    const transformer: Transformer<Waveform, RecognitionResult> & { cancel: () => void } = {
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
    const { maxFrames } = this.encoder.capacity;
    const frameMs = 1000 * secondsPerFrame(this.model.config);
    let chosen = 1;
    for (let frames = 1; frames <= maxFrames && frames * frameMs < latencyMs; frames++) {
      const timed = { streams: 1, frames, steps: MEASURED_STEPS, read: this.input };
      const [, median] = (await timeSteps(this.encoder, timed)).sort((a, b) => a - b);
      if (frames * frameMs + median > latencyMs) {
        break;
      }
      chosen = frames;
    }
    return chosen;
  }

  /**
   * Favours other phrases in a stream: from its next segment on, and at once where nothing of this one was decoded yet.
   *
   * @param hotwords as the text of a hotwords file; none when empty
   * @throws RillError `bad-argument` for hotwords that do not fit the search, `bad-model` for phrases that the model
   * cannot spell; the stream goes on as before then.
   */
  setHotwords(stream: OnlineStream, hotwords: string): void {
    stream.setSearch(this.searchFor(hotwords));
  }
}
