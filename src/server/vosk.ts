/**
 * vosk's WebSocket protocol: one text reply to each binary message, `partial` or at an utterance's end the `result`;
 * `{"config": …}` has none, `{"eof": 1}` and `{"reset": 1}` have the final result.
 */
import { RillError, shown } from '../errors.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { CloseReason } from '../recognizer/sessions.ts';
import type { Dialogue, HeardCall, Line } from './dialogue.ts';
import { parseObject } from './parse-object.ts';
import { Refusal } from './refusal.ts';
import { SampleReader } from './samples.ts';
import { alternativesOf, joined, partialOf, resultOf, type Utterance } from './vosk-results.ts';

/** Telephone's, which vosk-server takes where a client does not say. */
const DEFAULT_SAMPLE_RATE = 8000;

/** What a client may configure. */
export interface VoskConfig {
  /** Samples per second. */
  sampleRate: number;
  /** Whether results have their words with times. */
  words: boolean;
  /** Above 0 a result is a list of alternatives, of which there is one. */
  maxAlternatives: number;
  /** Phrases to favour. */
  phrases: readonly string[];
}

/** Its messages, each in turn. */
export class VoskDialogue implements Dialogue {
  readonly #line: Line;
  readonly #hotwordsOf: (phrases: readonly string[]) => string;
  #config: VoskConfig = { sampleRate: DEFAULT_SAMPLE_RATE, words: true, maxAlternatives: 0, phrases: [] };
  #reader = new SampleReader('s16le');
  #call: HeardCall | undefined;
  /** Utterances that have ended and that no reply has told of. */
  #ended: Utterance[] = [];
  #partial = '';
  /** Seconds of audio before the call that is open: a reset ends a call, and times go on. */
  #secondsBefore = 0;
  #seconds = 0;
  /** Called when the call has ended. */
  #onEnd: (() => void) | undefined;
  #isOver = false;

  /** @param hotwordsOf a hotwords file of those phrases that the model can spell */
  constructor(line: Line, hotwordsOf: (phrases: readonly string[]) => string) {
    this.#line = line;
    this.#hotwordsOf = hotwordsOf;
  }

  async hear(message: string | Uint8Array): Promise<void> {
    if (this.#isOver) {
      return;
    }
    if (typeof message !== 'string') {
      await this.#hearSamples(message);
      return;
    }
    const command = parseObject(message);
    if (!command) {
      throw badMessage('a text that is no JSON object');
    }
    if ('config' in command) {
      this.#config = configOf(command.config, this.#config);
    } else if ('eof' in command) {
      await this.#finalise();
      this.#isOver = true;
      this.#line.close(1000, 'done');
    } else if ('reset' in command) {
      await this.#finalise();
    } else {
      throw badMessage('a text that is none of these');
    }
  }

  /** A reply that nobody asked for would be taken for that to the next message. */
  async conclude(): Promise<void> {
    return;
  }

  hangUp(): undefined {
    this.#isOver = true;
    this.#call?.discard();
  }

  async #hearSamples(bytes: Uint8Array): Promise<void> {
    const samples = this.#reader.read(bytes);
    const { sampleRate } = this.#config;
    const call = (this.#call ??= this.#open());
    await call.push({ samples, sampleRate });
    this.#seconds += samples.length / sampleRate;
    // The reply waits for the decoding: a client that waits for it is no faster than that, and loses nothing.
    await call.settled();
    const utterance = this.#ended.shift();
    this.#line.send(JSON.stringify(utterance ? this.#told(utterance) : partialOf(this.#partial)));
  }

  #open(): HeardCall {
    const { phrases } = this.#config;
    return this.#line.open({
      hotwords: this.#hotwordsOf(phrases) || undefined,
      onResult: (result) => {
        this.#note(result);
      },
      onEnd: (end, error) => {
        this.#end(end, error);
      },
    });
  }

  #note(result: RecognitionResult): void {
    this.#partial = result.isFinal ? '' : result.text;
    if (result.isFinal && result.text !== '') {
      this.#ended.push(resultOf(result, this.#secondsBefore));
    }
  }

  #end(end: CloseReason, error?: RillError): void {
    this.#call = undefined;
    if (end === 'failed') {
      this.#line.fail(error);
    } else if (end === 'idle') {
      this.#line.close(1000, 'nothing came for long');
    }
    this.#onEnd?.();
  }

  /** Decodes what is left, and answers with all that no reply has told of yet. */
  async #finalise(): Promise<void> {
    const call = this.#call;
    if (call) {
      const ended = new Promise<void>((resolve) => (this.#onEnd = resolve));
      call.finish();
      await ended;
      this.#secondsBefore = this.#seconds;
    }
    this.#partial = '';
    this.#line.send(JSON.stringify(this.#told(joined(this.#ended.splice(0)))));
  }

  #told(utterance: Utterance) {
    const { words, maxAlternatives } = this.#config;
    const said = words && utterance.text !== '' ? utterance : { text: utterance.text };
    return maxAlternatives > 0 ? alternativesOf(said, utterance) : said;
  }
}

/** What a client configures on top of what is so already. @throws Refusal `bad-request` */
function configOf(value: unknown, before: VoskConfig): VoskConfig {
  if (typeof value !== 'object' || value === null) {
    throw badMessage('a config that is no object');
  }
  const { sample_rate, words, max_alternatives, phrase_list }: Partial<Record<string, unknown>> = { ...value };
  const rate = sample_rate === undefined ? before.sampleRate : Number(sample_rate);
  const alternatives = max_alternatives === undefined ? before.maxAlternatives : Number(max_alternatives);
  if (!Number.isInteger(rate) || !(alternatives >= 0)) {
    throw badMessage(`sample_rate ${shown(sample_rate)}, max_alternatives ${shown(max_alternatives)}`);
  }
  return {
    sampleRate: rate,
    words: words === undefined ? before.words : Boolean(words),
    maxAlternatives: alternatives,
    phrases: phrase_list === undefined ? before.phrases : phrasesOf(phrase_list),
  };
}

/** A phrase of some hundred letters is none, and a list of thousands no help. */
const MOST_PHRASES = 1000;

function phrasesOf(value: unknown): string[] {
  const phrases: readonly unknown[] = Array.isArray(value) ? value : [];
  if (!Array.isArray(value) || phrases.length > MOST_PHRASES || !phrases.every((each) => typeof each === 'string')) {
    throw badMessage(`a phrase_list that is no list of at most ${MOST_PHRASES} texts`);
  }
  return phrases.filter((each) => typeof each === 'string');
}

const badMessage = (got: string) =>
  new Refusal('bad-request', {
    // What a client writes is not repeated: it may be anything.
    got,
    expected: '{"config": {"sample_rate", "words", "max_alternatives", "phrase_list"}}, {"eof": 1} or {"reset": 1}',
    remedy: 'Send samples of 16 bits as binary messages, and these as text.',
  });
