/** sherpa-onnx's WebSocket protocol: samples in binary messages, results as JSON, `Done` and `Done!` at the end. */
import type { RillError } from '../errors.ts';
import type { TokenTable } from '../model/tokens.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { CloseReason } from '../recognizer/sessions.ts';
import type { Dialogue, HeardCall, Line } from './dialogue.ts';
import { parseObject } from './parse-object.ts';
import { SampleReader } from './samples.ts';
import { formatOf, rateOf, type SentAudio } from './sent-audio.ts';
import { sherpaMessage } from './sherpa-message.ts';

/** What a client says at the end; with an exclamation mark it is the answer. */
export const DONE = 'Done';

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

  hangUp(): undefined {
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

  #end(end: CloseReason, error?: RillError): void {
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
    this.#line.send(JSON.stringify(sherpaMessage(result, this.#tokens, isEof)));
  }
}

const emptyResult = (at: { segment: number; startTime: number }): RecognitionResult => ({
  ...{ text: '', tokens: [], timestamps: [], tokenLogProbs: [], logProb: 0, words: [], keywords: [], isFinal: true },
  ...at,
});
