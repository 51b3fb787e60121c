import type { RecognitionResult } from './results.ts';
import type { OnlineStream } from './stream.ts';

/** What tells of a stream: a recognizer. */
export interface Teller {
  getResult: (stream: OnlineStream) => RecognitionResult;
  isEndpoint: (stream: OnlineStream) => boolean;
  reset: (stream: OnlineStream) => RecognitionResult;
}

/**
 * What of a stream is worth telling, chunk by chunk: each result that says something new, and the last one of each
 * segment, which an endpoint or the end of the input closes.
 */
export class StreamReports {
  readonly #recognizer: Teller;
  readonly #stream: OnlineStream;
  /** What the last result told, in short. */
  #told = '';
  #ended = false;

  constructor(recognizer: Teller, stream: OnlineStream) {
    this.#recognizer = recognizer;
    this.#stream = stream;
  }

  /** Whether all of the stream was decoded and told. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What there is to tell now, after a chunk or after the end of the input; closes the segment at an endpoint. */
  next(): RecognitionResult | undefined {
    if (this.#ended) {
      return undefined;
    }
    const result = this.#recognizer.getResult(this.#stream);
    if (result.isFinal) {
      this.#ended = true;
      // Behind other segments an empty last one says nothing.
      return result.text !== '' || result.segment === 0 ? result : undefined;
    }
    if (this.#recognizer.isEndpoint(this.#stream)) {
      return this.close();
    }
    const { text, words, keywords } = result;
    const saying = `${text} ${words.length} ${keywords.length}`;
    if (saying === this.#told || (text === '' && this.#told === '')) {
      return undefined;
    }
    this.#told = saying;
    return result;
  }

  /** Closes the segment here; its last result, if it says something. */
  close(): RecognitionResult | undefined {
    this.#told = '';
    const closed = this.#recognizer.reset(this.#stream);
    return closed.text !== '' ? closed : undefined;
  }
}
