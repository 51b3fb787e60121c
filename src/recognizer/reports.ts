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
      return result.text !== '' || result.segment === 0 ? this.#tell(result, '') : undefined;
    }
    if (this.#recognizer.isEndpoint(this.#stream)) {
      return this.close();
    }
    const { text, words, keywords } = result;
    const saying = `${text} ${words.length} ${keywords.length}`;
    const { last } = this.#stream.told;
    return saying === last || (text === '' && last === '') ? undefined : this.#tell(result, saying);
  }

  /** Closes the segment here; its last result, if it says something. */
  close(): RecognitionResult | undefined {
    const closed = this.#recognizer.reset(this.#stream);
    if (closed.text !== '') {
      return this.#tell(closed, '');
    }
    this.#stream.told = { ...this.#stream.told, last: '' };
    return undefined;
  }

  /** @param last what it says, in short */
  #tell(result: RecognitionResult, last: string): RecognitionResult {
    this.#stream.told = { last, count: this.#stream.told.count + 1 };
    return result;
  }
}
