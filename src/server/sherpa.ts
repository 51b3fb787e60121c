/** sherpa-onnx's WebSocket protocol: samples in binary messages, results as JSON, `Done` and `Done!` at the end. */
import type { RillError } from '../errors.ts';
import { shown } from '../errors.ts';
import { WORD_BOUNDARY, type TokenTable } from '../model/tokens.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { CallEnd, Dialogue, HeardCall, Line } from './dialogue.ts';
import { Refusal } from './refusal.ts';
import { SAMPLE_FORMATS, SampleReader, type SampleFormat } from './samples.ts';

/** What a client's samples are, where it does not say: what sherpa-onnx's clients send. */
const DEFAULT_FORMAT: SampleFormat = 'f32le';
const DONE = 'Done';

/** What a client sends. */
export interface SentAudio {
  /** Samples per second. */
  sampleRate: number;
  /** What a sample is. */
  format: SampleFormat;
}

/**
 * What a client sends by the query of its address: `sample_rate` and `format`.
 *
 * @param modelRate where it does not say
 * @throws Refusal `bad-request`.
 */
export const sentAudio = (query: URLSearchParams, modelRate: number): SentAudio => ({
  sampleRate: rateOf(query.get('sample_rate')) ?? modelRate,
  format: formatOf(query.get('format')) ?? DEFAULT_FORMAT,
});

/** Its messages, each in turn. */
export class SherpaDialogue implements Dialogue {
  readonly #line: Line;
  readonly #tokens: Pick<TokenTable, 'symbols'>;
  #sampleRate: number;
  #reader: SampleReader;
  #call: HeardCall | undefined;
  /** The client has said that it is done: a final result waits until it is known whether it is the last. */
  #isDone = false;
  #held: RecognitionResult | undefined;
  /** Where an empty last result stands: behind all others. */
  #last = { segment: 0, startTime: 0 };
  #onConcluded: (() => void) | undefined;

  /** @param audio what a client sends, where its first message does not say */
  constructor(line: Line, tokens: Pick<TokenTable, 'symbols'>, { sampleRate, format }: SentAudio) {
    this.#line = line;
    this.#tokens = tokens;
    this.#sampleRate = sampleRate;
    this.#reader = new SampleReader(format);
  }

  async hear(message: string | Uint8Array): Promise<void> {
    if (this.#isDone) {
      return;
    }
    if (typeof message !== 'string') {
      await this.#hearSamples(message);
    } else if (message === DONE) {
      this.#finish();
    } else if (!this.#call) {
      this.#configure(message);
    }
  }

  async conclude(): Promise<void> {
    const call = this.#call;
    if (call && !this.#isDone) {
      const concluded = new Promise<void>((resolve) => (this.#onConcluded = resolve));
      call.finish();
      await concluded;
    }
  }

  hangUp(): void {
    this.#call?.discard();
  }

  async #hearSamples(bytes: Uint8Array): Promise<void> {
    const samples = this.#reader.read(bytes);
    const call = (this.#call ??= this.#open());
    await call.push({ samples, sampleRate: this.#sampleRate });
  }

  #open(): HeardCall {
    return this.#line.open({
      onResult: (result) => {
        this.#tell(result);
      },
      onEnd: (end, error) => {
        this.#end(end, error);
      },
    });
  }

  /** A text before the first samples may say what they are; what is no JSON is ignored, as sherpa-onnx does. */
  #configure(text: string): void {
    const config = parseObject(text);
    if (config) {
      this.#sampleRate = rateOf(config.sample_rate) ?? this.#sampleRate;
      const format = formatOf(config.format);
      this.#reader = format === undefined ? this.#reader : new SampleReader(format);
    }
  }

  #finish(): void {
    this.#isDone = true;
    if (this.#call) {
      this.#call.finish();
    } else {
      this.#sayDone();
    }
  }

  #tell(result: RecognitionResult): void {
    this.#last = { segment: result.segment + 1, startTime: result.timestamps.at(-1) ?? result.startTime };
    if (this.#held) {
      this.#send(this.#held, false);
      this.#held = undefined;
    }
    if (this.#isDone && result.isFinal) {
      this.#held = result;
    } else {
      this.#send(result, false);
    }
  }

  #end(end: CallEnd, error?: RillError): void {
    if (this.#onConcluded) {
      this.#onConcluded();
    } else if (end === 'finished') {
      this.#sayDone();
    } else if (end === 'failed') {
      this.#line.fail(error);
    } else if (end === 'idle') {
      this.#line.close(1000, 'nothing came for long');
    }
  }

  #sayDone(): void {
    this.#send(this.#held ?? emptyResult(this.#last), true);
    this.#line.send(`${DONE}!`);
    this.#line.close(1000, 'done');
  }

  #send(result: RecognitionResult, isEof: boolean): void {
    this.#line.send(JSON.stringify(messageOf(result, this.#tokens, isEof)));
  }
}

/** A result in sherpa-onnx's words: times of tokens count from the start of the segment. */
function messageOf(result: RecognitionResult, { symbols }: Pick<TokenTable, 'symbols'>, isEof: boolean) {
  const { text, tokens, timestamps, tokenLogProbs, segment, words, startTime, isFinal } = result;
  return {
    text,
    tokens: tokens.map((id) => (symbols[id] ?? '').replaceAll(WORD_BOUNDARY, ' ')),
    timestamps: timestamps.map((time) => toMilliseconds(time - startTime)),
    ys_probs: tokenLogProbs,
    segment,
    words,
    start_time: startTime,
    is_final: isFinal,
    is_eof: isEof,
  };
}

const toMilliseconds = (seconds: number) => Math.round(1000 * seconds) / 1000;

const emptyResult = (at: { segment: number; startTime: number }): RecognitionResult => ({
  ...{ text: '', tokens: [], timestamps: [], tokenLogProbs: [], logProb: 0, words: [], keywords: [], isFinal: true },
  ...at,
});

function parseObject(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** @throws Refusal `bad-request` for what is no rate at all; whether the resampler takes it, that says. */
function rateOf(value: unknown): number | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const rate = Number(value);
  if (!Number.isInteger(rate)) {
    throw badFormat(`sample_rate ${shown(value)}`, 'samples per second, a whole number');
  }
  return rate;
}

function formatOf(value: unknown): SampleFormat | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const format = SAMPLE_FORMATS.find((each) => each === value);
  if (format === undefined) {
    throw badFormat(`format ${shown(value)}`, SAMPLE_FORMATS.join(' or '));
  }
  return format;
}

const badFormat = (got: string, expected: string) =>
  new Refusal('bad-request', { got, expected, remedy: 'Leave it out for float32 at the model’s own rate.' });
