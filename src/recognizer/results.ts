import type { OnlineStream } from './stream.ts';

/** A keyword that was heard, with its times. */
export interface TimedKeyword {
  keyword: string;
  /** Seconds from the start of the stream, of its first and last token. */
  start: number;
  end: number;
  /** How much it is to be believed, 0 to 1: docs/keywords.md. */
  score: number;
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
