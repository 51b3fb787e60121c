import { joinTexts } from '../model/tokens.ts';
import type { RecognitionResult, TimedWord } from '../recognizer/results.ts';

/** A word as vosk writes it; times in seconds from the start of the connection. */
export interface VoskWord {
  /** 0 to 1. */
  conf: number;
  end: number;
  start: number;
  word: string;
}

/** What was said up to a pause. */
export interface Utterance {
  result: VoskWord[];
  text: string;
}

/** @param secondsBefore audio before the call that the result is of */
export function resultOf(result: RecognitionResult, secondsBefore: number): Utterance {
  return {
    result: result.words.map((word) => ({
      conf: confidenceOf(word, result),
      end: round(secondsBefore + word.end),
      start: round(secondsBefore + word.start),
      word: word.word,
    })),
    text: result.text,
  };
}

/** The mean probability of a word's tokens. */
function confidenceOf({ start, end }: TimedWord, { timestamps, tokenLogProbs }: RecognitionResult): number {
  const own = tokenLogProbs.filter((_, i) => timestamps[i] >= start && timestamps[i] <= end).map(Math.exp);
  return own.length === 0 ? 1 : round(own.reduce((sum, probability) => sum + probability, 0) / own.length);
}

const round = (value: number) => Math.round(1e6 * value) / 1e6;

/** Utterances as one: what was not told yet when the last word is asked for. */
export const joined = (utterances: readonly Utterance[]): Utterance => ({
  result: utterances.flatMap(({ result }) => result),
  text: joinTexts(utterances.map(({ text }) => text)),
});

export const partialOf = (partial: string) => ({ partial });

/** A result as the list of one that clients expect who ask for alternatives. */
export function alternativesOf(said: Partial<Utterance>, { result }: Utterance) {
  const sum = result.reduce((total, { conf }) => total + conf, 0);
  return { alternatives: [{ confidence: result.length === 0 ? 1 : sum / result.length, ...said }] };
}
