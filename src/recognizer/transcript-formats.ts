/** A transcript as a text, as subtitles, or as a line of JSON. */
import { joinTexts } from '../model/tokens.ts';
import { printable } from '../text/printable.ts';
import type { TimedWord } from './results.ts';
import type { Segment, Transcript } from './transcript.ts';

export const TRANSCRIPT_FORMATS = ['txt', 'srt', 'vtt', 'json'] as const;
export type TranscriptFormat = (typeof TRANSCRIPT_FORMATS)[number];

/** What a person reads at once: two lines of 42 characters, for a few seconds; a pause begins the next. */
const LINE_CHARACTERS = 42;
const CUE_LINES = 2;
const CUE_SECONDS = 6;
const PAUSE_SECONDS = 1;
/** A word's end is the start of its last token, and a single word is over before anybody has read it. */
const SHORTEST_CUE_SECONDS = 1;

/** @returns the text of a file, its last line ended */
export function formatTranscript(format: TranscriptFormat, audio: string, transcript: Transcript): string {
  switch (format) {
    case 'json':
      return `${jsonLine({ audio }, transcript)}\n`;
    case 'srt':
      return cuesOf(transcript.segments)
        .map(({ start, end, lines }, i) => `${i + 1}\n${time(start, ',')} --> ${time(end, ',')}\n${lines.join('\n')}\n`)
        .join('\n');
    case 'vtt':
      return ['WEBVTT\n', ...cuesOf(transcript.segments).map(vttCue)].join('\n');
    case 'txt':
      return transcript.segments.map(({ text }) => `${printable(text)}\n`).join('');
  }
}

/**
 * A transcript as a line of JSON, without its end.
 *
 * @param source the recording, and which part of it where that is not the whole
 */
export function jsonLine(source: { audio: string; start?: number; duration?: number }, transcript: Transcript): string {
  const { text, tokens, timestamps, probabilities, words, segments } = transcript;
  const { audio, start, duration } = source;
  const bounds = segments.map((segment) => ({ text: segment.text, start: segment.start, end: segment.end }));
  return JSON.stringify({
    ...{ audio, start, duration, text },
    ...{ tokens, timestamps, probabilities, words, segments: bounds },
  });
}

interface Cue {
  /** Seconds. */
  start: number;
  end: number;
  lines: string[];
}

/** In WebVTT these begin tags and entities. */
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

function vttCue({ start, end, lines }: Cue): string {
  const text = lines.join('\n').replace(/[&<>]/g, (character) => ESCAPES[character]);
  return `${time(start, '.')} --> ${time(end, '.')}\n${text}\n`;
}

/** `00:01:02,345` */
function time(seconds: number, point: string): string {
  const ms = Math.round(1000 * seconds);
  const part = (unit: number, count: number) => String(Math.floor(ms / unit) % count).padStart(2, '0');
  const hours = String(Math.floor(ms / 3_600_000)).padStart(2, '0');
  return `${hours}:${part(60_000, 60)}:${part(1000, 60)}${point}${String(ms % 1000).padStart(3, '0')}`;
}

/** Subtitles: words of one segment, as many as a person reads at once. */
function cuesOf(segments: readonly Segment[]): Cue[] {
  const groups = segments.flatMap(({ words }) => groupWords(words));
  return groups.map((words, i) => {
    const { start } = words[0];
    const next = i + 1 < groups.length ? groups[i + 1][0].start : Infinity;
    const end = Math.min(Math.max(words[words.length - 1].end, start + SHORTEST_CUE_SECONDS), next);
    return { start, end, lines: linesOf(words) };
  });
}

function groupWords(words: readonly TimedWord[]): TimedWord[][] {
  const groups: TimedWord[][] = [];
  for (const word of words) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    const fits =
      group !== undefined &&
      last !== undefined &&
      word.start - last.end < PAUSE_SECONDS &&
      word.end - group[0].start <= CUE_SECONDS &&
      linesOf([...group, word]).length <= CUE_LINES;
    if (fits) {
      group.push(word);
    } else {
      groups.push([word]);
    }
  }
  return groups;
}

function linesOf(words: readonly TimedWord[]): string[] {
  const lines: string[] = [];
  for (const { word } of words) {
    const last = lines.at(-1);
    const longer = last === undefined ? '' : joinTexts([last, printable(word)]);
    if (last !== undefined && longer.length <= LINE_CHARACTERS) {
      lines[lines.length - 1] = longer;
    } else {
      lines.push(printable(word));
    }
  }
  return lines;
}
