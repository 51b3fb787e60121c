import type { OnlineStream } from './stream.ts';

/** A keyword that was heard, with its times. */
export interface TimedKeyword {
  /** Its phrase, as the keyword file names it. */
  keyword: string;
  /** Seconds from the start of the stream to its first token. */
  start: number;
  /** Seconds from the start of the stream to its last token. */
  end: number;
  /** How much it is to be believed, 0 to 1: docs/keywords.md. */
  score: number;
}

/** A word with its times. */
export interface TimedWord {
  /** Its text. */
  word: string;
  /** Seconds from the start of the stream to its beginning. */
  start: number;
  /** Seconds from the start of the stream to its end. */
  end: number;
}

/** What was heard in the current segment. */
export interface RecognitionResult {
  /** What was heard, as it stands now. */
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
  /** Keywords heard in the segment. */
  keywords: TimedKeyword[];
  /** Segments before this one. */
  segment: number;
  /** Seconds from the start of the stream to the start of the segment. */
  startTime: number;
  /** Nothing more will come in this segment: an endpoint, a reset, or the end of the input has closed it. */
  isFinal: boolean;
}

/** Seconds from the start of a stream to an encoder frame, to the millisecond. */
export const seconds = ({ secondsPerFrame }: OnlineStream, frame: number) =>
  Math.round(frame * secondsPerFrame * 1000) / 1000;

export function timedKeywords(stream: OnlineStream): TimedKeyword[] {
  return stream.keywordHits.map(({ keyword, startFrame, endFrame, score }) => ({
    keyword,
    start: seconds(stream, startFrame),
    end: seconds(stream, endFrame),
    score,
  }));
}
