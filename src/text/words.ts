import type { DecodedToken } from '../decoder/decoder.ts';
import { WORD_BOUNDARY, joinSymbols, type TokenTable } from '../model/tokens.ts';

/** A word and the encoder frames of its first and last token. */
export interface Word {
  text: string;
  startFrame: number;
  endFrame: number;
  /** A boundary followed: later tokens cannot change it. */
  complete: boolean;
}

/** Joins tokens into words at the boundary marks, wherever in a token they stand. */
export function joinWords(tokens: readonly DecodedToken[], table: TokenTable): Word[] {
  const words: (Word & { parts: string[] })[] = [];
  let word: (typeof words)[number] | undefined;
  for (const { id, frame } of tokens) {
    const [first, ...others] = (table.symbols[id] ?? '').split(WORD_BOUNDARY);
    for (const [part, begins] of [[first, false] as const, ...others.map((text) => [text, true] as const)]) {
      if (begins && word) {
        word.complete = true;
        word = undefined;
      }
      if (part !== '') {
        if (!word) {
          word = { text: '', parts: [], startFrame: frame, endFrame: frame, complete: false };
          words.push(word);
        }
        word.parts.push(part);
        word.endFrame = frame;
      }
    }
  }
  return words.map(({ parts, ...rest }) => ({ ...rest, text: joinSymbols(parts) }));
}
