/** How well keywords are found: misses and false alarms of several searches over the same recordings. */
import { CtcGreedyDecoder } from '../src/decoder/ctc-greedy.ts';
import { CtcKeywordSpotter } from '../src/decoder/ctc-keyword-spotter.ts';
import type { SearchOptions } from '../src/decoder/decoder.ts';
import { TransducerJoiner } from '../src/decoder/joiner.ts';
import { KeywordReport, type Keyword, type KeywordDecoder, type KeywordHit } from '../src/decoder/keywords.ts';
import { TransducerKeywordSpotter } from '../src/decoder/transducer-keyword-spotter.ts';
import { CTC_LOG_PROBS } from '../src/encoder/outputs.ts';
import type { Model } from '../src/model/model.ts';
import { split } from '../src/text/word-errors.ts';

/** A recording, and what the heads give of it. */
export interface KeywordRecording {
  audio: string;
  text: string;
  seconds: number;
  /** By the name of the output, (frames, width). */
  outputs: Readonly<Record<string, Float32Array>>;
}

/**
 * Looks for keywords in a recording.
 *
 * @param threshold of keywords that have none of their own; the search's by default
 * @returns the phrases that it has heard
 */
export type KeywordSearch = (
  keywords: readonly Keyword[],
  threshold: number | undefined,
  recording: KeywordRecording,
) => string[] | Promise<string[]>;

const phrasesOf = (hits: readonly KeywordHit[]) => hits.map(({ keyword }) => keyword);

function heardBy(spotter: KeywordDecoder, outputs: KeywordRecording['outputs']): string[] {
  spotter.accept(outputs[spotter.input]);
  spotter.finish();
  return phrasesOf(spotter.takeHits());
}

/** Rill's own ways, as far as the model has their heads. */
export async function ownSearches(model: Model): Promise<Map<string, KeywordSearch>> {
  const { blankId, unkId } = model.config;
  const options: SearchOptions = { vocabSize: model.sizes.vocabSize ?? 0, blankId, unkId };
  const searches = new Map<string, KeywordSearch>();
  if (model.sizes.hasCtc) {
    searches.set('spotter, CTC', (keywords, keywordsThreshold, { outputs }) => {
      return heardBy(new CtcKeywordSpotter(keywords, { ...options, keywordsThreshold }), outputs);
    });
    searches.set('report, CTC', (keywords, threshold, { outputs }) => {
      const decoder = new CtcGreedyDecoder(options);
      decoder.accept(outputs[CTC_LOG_PROBS]);
      const report = new KeywordReport(
        keywords.map((keyword) => ({ ...keyword, threshold: keyword.threshold ?? threshold })),
      );
      return phrasesOf([...report.accept(decoder.tokens), ...report.finish()]);
    });
  }
  if (model.sizes.transducer) {
    const joiner = await TransducerJoiner.load(model);
    searches.set('spotter, transducer', (keywords, keywordsThreshold, { outputs }) => {
      return heardBy(new TransducerKeywordSpotter(joiner, keywords, { ...options, keywordsThreshold }), outputs);
    });
  }
  return searches;
}

/** How keywords were listened for: one after the other in runs of their own, or all of them at once. */
export type Company = 'alone' | 'together';

/** What came of one search at one threshold. */
export interface KeywordScore {
  search: string;
  company: Company;
  /** Null: as the keyword file and the search's defaults have it. */
  threshold: number | null;
  /** Times that a phrase was said, and of them those that were not heard. */
  said: number;
  missed: number;
  /** Phrases heard and not said: in recordings in which another one was, and in those without any. */
  confused: number;
  falseAlarms: number;
  /** Hours that were listened to; with each phrase alone, all of them as often as there are phrases. */
  hours: number;
  /** Phrases heard and not said, by the hour. */
  falseAlarmsPerHour: number;
}

/** How often each of some phrases is said; of phrases within one another the longest counts. */
export function saidPhrases(text: string, phrases: readonly string[]): Map<string, number> {
  let words = split(text);
  const counts = new Map<string, number>();
  const wanted = phrases.map((phrase) => ({ phrase, words: split(phrase) }));
  for (const { phrase, words: said } of wanted.sort((a, b) => b.words.length - a.words.length)) {
    let count = 0;
    for (let at = 0; said.length > 0 && at + said.length <= words.length; at++) {
      if (said.every((word, i) => words[at + i] === word)) {
        count++;
        // What is left in its place joins no words.
        words = words.toSpliced(at, said.length, '');
      }
    }
    counts.set(phrase, count);
  }
  return counts;
}

/**
 * Runs one search over all recordings.
 *
 * @param threshold of all keywords; null for their own and the search's default
 */
export async function scoreKeywords(
  [name, search]: readonly [string, KeywordSearch],
  company: Company,
  keywords: readonly Keyword[],
  threshold: number | null,
  recordings: readonly KeywordRecording[],
): Promise<KeywordScore> {
  const phrases = [...new Set(keywords.map(({ phrase }) => phrase))];
  const runs = company === 'together' ? [phrases] : phrases.map((phrase) => [phrase]);
  const sums = { said: 0, missed: 0, confused: 0, falseAlarms: 0, hours: 0 };
  for (const wanted of runs) {
    const own = keywords
      .filter(({ phrase }) => wanted.includes(phrase))
      .map((keyword) => (threshold === null ? keyword : { ...keyword, threshold: undefined }));
    for (const recording of recordings) {
      const heard = await search(own, threshold ?? undefined, recording);
      const hasAny = [...saidPhrases(recording.text, phrases).values()].some((count) => count > 0);
      for (const [phrase, said] of saidPhrases(recording.text, wanted)) {
        const hits = heard.filter((each) => each === phrase).length;
        sums.said += said;
        sums.missed += Math.max(0, said - hits);
        sums[hasAny ? 'confused' : 'falseAlarms'] += Math.max(0, hits - said);
      }
      sums.hours += recording.seconds / 3600;
    }
  }
  const { confused, falseAlarms, hours } = sums;
  const falseAlarmsPerHour = hours > 0 ? (confused + falseAlarms) / hours : 0;
  return { search: name, company, threshold, ...sums, falseAlarmsPerHour };
}
