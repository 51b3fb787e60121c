import type { DecodedToken } from '../decoder/decoder.ts';
import { WORD_BOUNDARY, joinSymbols, startsUnmarked, type TokenTable } from '../model/tokens.ts';

/** A word and the encoder frames of its first and last token. */
export interface Word {
  text: string;
  startFrame: number;
  endFrame: number;
  /** A boundary followed, or it needs none: later tokens cannot change it. */
  complete: boolean;
}

/** A character of a script that is written without spaces, or a run of any others. */
const RUNS = /\p{Script=Han}|\P{Script=Han}+/gu;

/**
 * Joins tokens into words at the boundary marks, wherever in a token they stand. A Chinese character is a word of its
 * own, as it is in timestamps of Chinese everywhere. A phrase that the model was taught begins and ends words.
 */
export function joinWords(tokens: readonly DecodedToken[], table: TokenTable): Word[] {
  const words: (Word & { parts: string[] })[] = [];
  let word: (typeof words)[number] | undefined;
  const close = () => {
    if (word) {
      word.complete = true;
      word = undefined;
    }
  };
  for (const { id, frame } of tokens) {
    if (table.isPhrase(id)) {
      close();
    }
    const [first, ...others] = (table.symbols[id] ?? '').split(WORD_BOUNDARY);
    for (const [part, begins] of [[first, false] as const, ...others.map((text) => [text, true] as const)]) {
      if (begins) {
        close();
      }
      for (const [run] of part.matchAll(RUNS)) {
        if (startsUnmarked(run)) {
          close();
          words.push({ text: '', parts: [run], startFrame: frame, endFrame: frame, complete: true });
          continue;
        }
        if (!word) {
          word = { text: '', parts: [], startFrame: frame, endFrame: frame, complete: false };
          words.push(word);
        }
        word.parts.push(run);
        word.endFrame = frame;
      }
    }
    if (table.isPhrase(id)) {
      close();
    }
  }
  return words.map(({ parts, ...rest }) => ({ ...rest, text: joinSymbols(parts) }));
}
