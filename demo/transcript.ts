/** What was heard, as the text of a file: plain, as subtitles, or as JSON with the times of all words. */
import type { RecognitionResult, TimedWord } from 'rill-asr';

export const TRANSCRIPT_FORMATS = ['txt', 'srt', 'json'] as const;
export type TranscriptFormat = (typeof TRANSCRIPT_FORMATS)[number];

/** What is heard between two pauses. */
export type Said = Pick<RecognitionResult, 'text' | 'words' | 'keywords'>;

/** Words of one subtitle, the pause that begins the next, and how long one stands at least. */
const CUE_WORDS = 8;
const PAUSE_SECONDS = 1;
const SHORTEST_SECONDS = 1;

export function formatTranscript(format: TranscriptFormat, segments: readonly Said[]): string {
  switch (format) {
    case 'txt':
      return segments.map(({ text }) => `${text}\n`).join('');
    case 'srt':
      return segments
        .flatMap(({ words }) => cuesOf(words))
        .map((cue, i, all) => subtitle(i + 1, cue, all.at(i + 1)?.[0].start))
        .join('\n');
    case 'json':
      return `${JSON.stringify(segments, ['text', 'words', 'keywords', 'word', 'keyword', 'start', 'end', 'score'], 2)}\n`;
  }
}

/** Words of a segment in groups that can be read at once. */
function cuesOf(words: readonly TimedWord[]): TimedWord[][] {
  const cues: TimedWord[][] = [];
  for (const word of words) {
    const cue = cues.at(-1);
    const last = cue?.at(-1);
    if (cue && last && cue.length < CUE_WORDS && word.start - last.end < PAUSE_SECONDS) {
      cue.push(word);
    } else {
      cues.push([word]);
    }
  }
  return cues;
}

/** @param next the start of the one behind it, in seconds */
function subtitle(number: number, words: readonly TimedWord[], next = Infinity): string {
  const { start } = words[0];
  const end = Math.min(next, Math.max(words[words.length - 1].end, start + SHORTEST_SECONDS));
  return `${number}\n${time(start)} --> ${time(end)}\n${words.map(({ word }) => word).join(' ')}\n`;
}

/** `00:01:02,345` */
const time = (seconds: number) => new Date(1000 * seconds).toISOString().slice(11, 23).replace('.', ',');
