import type { TokenTable } from '../model/tokens.ts';

/** Letters of a phrase: a longer one is none, and splitting it takes time with their square. */
const LONGEST_PHRASE = 200;

/**
 * A hotwords file of a phrase list. What the model cannot spell is left out: vosk's lists have `[unk]` for whatever else
 * may be said, which here may always be.
 */
export const hotwordsOf = (phrases: readonly string[], tokens: TokenTable): string =>
  phrases
    .filter(({ length }) => length <= LONGEST_PHRASE)
    .flatMap((phrase) => {
      const ids = phrase.trim() === '' ? undefined : tokens.encode(phrase.trim());
      return ids === undefined ? [] : [ids.map((id) => tokens.symbols[id]).join(' ')];
    })
    .join('\n');
