import { RillError, shown } from '../errors.ts';
import { WORD_BOUNDARY, startsUnmarked, type TokenTable } from '../model/tokens.ts';
import type { ContextPhrase } from './context-graph.ts';
import { MAX_BOOST } from './decoder.ts';
import type { Keyword } from './keywords.ts';

/** Letters of a phrase that is given as text: splitting it takes time with their square. */
const MAX_TEXT = 500;

/** One line of a keyword or hotwords file. */
interface PhraseLine {
  tokens: number[];
  boost?: number;
  threshold?: number;
  phrase?: string;
}

/** Makes the error of a line. */
type BadLine = (got: string, expected: string) => RillError;

/**
 * Reads lines of `tok tok … :boost #threshold @phrase`, the last three optional and in any order. The phrase behind `@`
 * goes on to the next of them, or to the end of the line.
 *
 * @throws RillError `bad-model` with the line, for tokens that the model does not have and numbers out of range.
 */
function parseLines(text: string, table: TokenTable, what: string): PhraseLine[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const words = line.split(/\s+/).filter(Boolean);
    const bad: BadLine = (got, expected) =>
      new RillError('bad-model', {
        got: `${got} on line ${index + 1} of the ${what}`,
        expected,
        remedy: 'A line is the phrase, as tokens or as text, then optionally :boost, #threshold and @phrase.',
      });
    return words.length > 0 ? [parseLine(words, table, bad)] : [];
  });
}

function parseLine(words: readonly string[], table: TokenTable, bad: BadLine): PhraseLine {
  const said: string[] = [];
  let alias: string[] | undefined;
  let boost: number | undefined;
  let threshold: number | undefined;
  for (const word of words) {
    const rest = word.slice(1);
    const number = rest === '' ? NaN : Number(rest);
    if (alias === undefined && table.idOf(word) !== undefined) {
      said.push(word);
    } else if (word.startsWith(':') && Number.isFinite(number)) {
      if (Math.abs(number) > MAX_BOOST) {
        throw bad(`a boost of ${number}`, `a number from ${-MAX_BOOST} to ${MAX_BOOST}`);
      }
      boost = number || undefined;
    } else if (word.startsWith('#') && Number.isFinite(number)) {
      if (number < 0 || number > 1) {
        throw bad(`a threshold of ${number}`, 'a number from 0 to 1');
      }
      threshold = number || undefined;
    } else if (alias === undefined && word.startsWith('@') && rest) {
      alias = [rest];
    } else {
      (alias ?? said).push(word);
    }
  }
  const tokens = isTokenLine(said, table) ? tokensOf(said, table, bad) : spell(said, table, bad);
  if (tokens.length === 0) {
    throw bad('no token', 'at least one');
  }
  return { tokens, boost, threshold, phrase: alias?.join(' ').replaceAll('_', ' ') };
}

/**
 * Whether words are tokens rather than text. Nobody writes the mark of a word in text. Without one, they are tokens if the
 * table has them all, unless its words begin with the mark (Chinese has none): then it is text that happens to be made
 * of tokens. Single letters with spaces between are tokens, whether the table has them or not.
 */
function isTokenLine(words: readonly string[], table: TokenTable): boolean {
  if (words.some((word) => word.includes(WORD_BOUNDARY))) {
    return true;
  }
  if (table.marksStart && !startsUnmarked(words[0] ?? '')) {
    return false;
  }
  const isLetter = (word: string) => [...word].length === 1 && !startsUnmarked(word);
  return words.every((word) => table.idOf(word) !== undefined) || (words.length > 1 && words.every(isLetter));
}

function tokensOf(words: readonly string[], table: TokenTable, bad: BadLine): number[] {
  return words.map((word) => {
    const id = table.idOf(word);
    if (id === undefined) {
      const known = [word.toLowerCase(), word.toUpperCase()].find((other) => table.idOf(other) !== undefined);
      throw bad(
        `the token ${shown(word)}, which tokens.txt does not have,`,
        known === undefined ? 'tokens of tokens.txt, or text without marks' : `${shown(known)}, which it has`,
      );
    }
    return id;
  });
}

function spell(words: readonly string[], table: TokenTable, bad: BadLine): number[] {
  const text = words.join(' ');
  if (text.length > MAX_TEXT) {
    throw bad(`${text.length} letters of text`, `at most ${MAX_TEXT}`);
  }
  const tokens = table.encode(text);
  if (!tokens) {
    const foreign = words.find((word) => !table.encode(word)) ?? words[0];
    throw bad(shown(foreign), 'tokens of tokens.txt, or text that they can spell');
  }
  return tokens;
}

/**
 * Reads a keyword file of sherpa-onnx: one keyword a line, `tok tok … :boost #threshold @phrase`, or text for the tokens.
 * A boost or threshold of 0 stands for the default, as there.
 *
 * @param table the tokens of the model that is to hear them
 * @throws RillError `bad-model` with the line that the model cannot spell.
 */
export function parseKeywords(text: string, table: TokenTable): Keyword[] {
  return parseLines(text, table, 'keywords').map(({ tokens, boost, threshold, phrase }) => ({
    phrase: phrase ?? table.text(tokens),
    tokens,
    ...(tokens.length === 1 && table.isPhrase(tokens[0]) && { isPhrase: true }),
    boost,
    threshold,
  }));
}

/**
 * Reads a hotwords file: one phrase a line, as tokens or as text, `tok tok … :score`.
 *
 * @param score for each token of a phrase whose line has none
 * @throws RillError `bad-model` with the line.
 */
export function parseHotwords(text: string, table: TokenTable, score: number): ContextPhrase[] {
  return parseLines(text, table, 'hotwords').map(({ tokens, boost }) => ({ tokens, score: boost ?? score }));
}
