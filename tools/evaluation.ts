/** Recordings with what is said in them: reading them, and how well they were heard. */
import { parseKeywords } from '../src/decoder/phrase-files.ts';
import type { FbankOptions } from '../src/features/fbank.ts';
import type { Model } from '../src/model/model.ts';
import { readFeatures } from './audio-features.ts';
import { readManifest, type Item } from './manifest.ts';
import { countPhrase, split, wordErrors } from '../src/text/word-errors.ts';

/** Silence behind each recording, so that the last letters come out. */
export const TAIL_PADDING_SECONDS = 0.5;

export interface Utterance extends Item {
  seconds: number;
  features: Float32Array<ArrayBuffer>;
  frames: number;
}

/** The recordings of a list, as features. */
export async function readUtterances(listPath: string, features: FbankOptions): Promise<Utterance[]> {
  const utterances: Utterance[] = [];
  for (const item of await readManifest(listPath)) {
    utterances.push({ ...item, ...(await readFeatures(item, features, TAIL_PADDING_SECONDS)) });
  }
  return utterances;
}

export interface Heard extends Utterance {
  heard: string;
}

/** How well it was heard, of all recordings together. */
export function score(results: readonly Heard[], keywords: readonly string[]) {
  const errors = results.map(({ text, heard }) => wordErrors(text, heard));
  const sum = (key: keyof (typeof errors)[number]) => errors.reduce((total, each) => total + each[key], 0);
  const [words, substitutions, insertions, deletions] = (
    ['words', 'substitutions', 'insertions', 'deletions'] as const
  ).map(sum);
  const hours = results.reduce((total, { seconds }) => total + seconds, 0) / 3600;
  const perKeyword = keywords.map((keyword) => {
    const counts = results.map(({ text, heard }) => ({
      said: countPhrase(text, keyword),
      heard: countPhrase(heard, keyword),
    }));
    const said = counts.reduce((total, each) => total + each.said, 0);
    const detected = counts.reduce((total, each) => total + Math.min(each.said, each.heard), 0);
    const falseAlarms = counts.reduce((total, each) => total + Math.max(0, each.heard - each.said), 0);
    return { keyword, said, detected, falseAlarms };
  });
  const said = perKeyword.reduce((total, each) => total + each.said, 0);
  const detected = perKeyword.reduce((total, each) => total + each.detected, 0);
  const falseAlarms = perKeyword.reduce((total, each) => total + each.falseAlarms, 0);
  return {
    recordings: results.length,
    hours,
    words,
    substitutions,
    insertions,
    deletions,
    /** Null where nothing was said. */
    wordErrorRate: words > 0 ? (substitutions + insertions + deletions) / words : null,
    exact: errors.filter((each) => each.substitutions + each.insertions + each.deletions === 0).length,
    keywords: perKeyword,
    /** Null where no keyword was said. */
    keywordAccuracy: said > 0 ? detected / said : null,
    falseAlarms,
    falseAlarmsPerHour: hours > 0 ? falseAlarms / hours : 0,
  };
}

/** The phrases of a model folder's keywords, each once: one may be spelt in several ways. */
export function keywordPhrases({ keywords, tokens }: Model): string[] {
  const phrases = keywords && tokens ? parseKeywords(keywords, tokens).map(({ phrase }) => phrase) : [];
  return [...new Map(phrases.map((phrase) => [split(phrase).join(' '), phrase])).values()];
}
