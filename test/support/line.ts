import type { RillError } from '../../src/errors.ts';
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import type { CloseReason } from '../../src/recognizer/sessions.ts';
import type { HeardCall, HeardCallOptions, Line } from '../../src/server/dialogue.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';

/** A result that says a text, a token for each letter, each of 40 ms. */
export function said(text: string, more: Partial<RecognitionResult> = {}): RecognitionResult {
  const { startTime = 0 } = more;
  const letters = [...text];
  const time = (i: number) => startTime + 0.04 * (i + 1);
  return {
    text,
    tokens: letters.map((letter) => letter.charCodeAt(0)),
    timestamps: letters.map((_, i) => time(i)),
    tokenLogProbs: letters.map(() => Math.log(0.5)),
    logProb: 0,
    words: text === '' ? [] : [{ word: text, start: time(0), end: time(letters.length - 1) }],
    keywords: [],
    segment: 0,
    startTime,
    isFinal: false,
    ...more,
  };
}

/** A call that hears nothing by itself: the test says what it hears, and when it has settled. */
export class FakeCall implements HeardCall {
  readonly options: HeardCallOptions;
  readonly pushed: Waveform[] = [];
  isFinished = false;
  isDiscarded = false;
  /** What `settled` waits for. */
  settling: Promise<void> = Promise.resolve();

  constructor(options: HeardCallOptions) {
    this.options = options;
  }

  get seconds(): number {
    return this.pushed.reduce((sum, { samples, sampleRate }) => sum + samples.length / sampleRate, 0);
  }

  async push(audio: Waveform): Promise<void> {
    this.pushed.push(audio);
  }

  settled(): Promise<void> {
    return this.settling;
  }

  finish(): void {
    this.isFinished = true;
  }

  discard(): void {
    this.isDiscarded = true;
  }

  hear(result: RecognitionResult): void {
    this.options.onResult(result);
  }

  end(end: CloseReason, error?: RillError): void {
    this.options.onEnd(end, error);
  }
}

/** A line without a socket: what was sent, the calls that were opened, and how it was closed. */
export class FakeLine implements Line {
  readonly sent: string[] = [];
  readonly calls: FakeCall[] = [];
  closed: { code: number; reason: string } | undefined;
  failure: unknown;

  /** What was sent, read as JSON where it is. */
  get messages(): unknown[] {
    return this.sent.map((text): unknown => (text.startsWith('{') ? JSON.parse(text) : text));
  }

  send(text: string): void {
    this.sent.push(text);
  }

  /** Opens calls that have a name; a test that has any says how. */
  resume: Line['resume'] = () => Promise.reject(new Error('no calls with names in this test'));

  open(options: HeardCallOptions): HeardCall {
    const call = new FakeCall(options);
    this.calls.push(call);
    return call;
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  fail(error: unknown): void {
    this.failure = error;
  }
}
