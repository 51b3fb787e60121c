/** What was said in a recording, put together from the results of its segments. */
import { joinTexts } from '../model/tokens.ts';
import type { TimedKeyword, RecognitionResult, TimedWord } from './results.ts';

/** What was said between two pauses. */
export interface Segment {
  text: string;
  /** Seconds from the start of the recording, of its first and last token. */
  start: number;
  end: number;
  words: TimedWord[];
}

/** What was said in a recording. */
export interface Transcript {
  text: string;
  /** Token ids. */
  tokens: number[];
  /** Seconds from the start of the recording, one for each token. */
  timestamps: number[];
  /** Probability of each token on its frame. */
  probabilities: number[];
  words: TimedWord[];
  keywords: TimedKeyword[];
  segments: Segment[];
}

/** What a result tells beyond the one before. */
export interface News {
  words: TimedWord[];
  keywords: TimedKeyword[];
}

/** Takes the results of a stream as they come. What is done for each is bounded by its segment, not by the recording. */
export class TranscriptBuilder {
  readonly #closed: RecognitionResult[] = [];
  /** Of the segment that is open. */
  #wordsTold = 0;
  #keywordsTold = 0;

  accept(result: RecognitionResult): News {
    const news = { words: result.words.slice(this.#wordsTold), keywords: result.keywords.slice(this.#keywordsTold) };
    if (result.isFinal) {
      this.#closed.push(result);
      this.#wordsTold = this.#keywordsTold = 0;
    } else {
      this.#wordsTold = result.words.length;
      this.#keywordsTold = result.keywords.length;
    }
    return news;
  }

  /** What the closed segments say. */
  get transcript(): Transcript {
    const closed = this.#closed;
    return {
      text: joinTexts(closed.map(({ text }) => text)),
      tokens: closed.flatMap(({ tokens }) => tokens),
      timestamps: closed.flatMap(({ timestamps }) => timestamps),
      probabilities: closed.flatMap(({ tokenLogProbs }) => tokenLogProbs.map(Math.exp)),
      words: closed.flatMap(({ words }) => words),
      keywords: closed.flatMap(({ keywords }) => keywords),
      segments: closed.filter(({ timestamps }) => timestamps.length > 0).map(segmentOf),
    };
  }
}

function segmentOf({ text, timestamps, words }: RecognitionResult): Segment {
  return { text, start: timestamps[0], end: timestamps[timestamps.length - 1], words };
}
