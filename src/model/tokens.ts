import { RillError, shown } from '../errors.ts';

/** Marks where a word begins (BPE models) or ends (the bundled model): a space in text. */
export const WORD_BOUNDARY = '▁';

/** Tokens that are no letters: `<blk>`, `<unk>`, bytes. */
const SPECIAL = /^<.+>$/;

/** What tables call the blank and the unknown token, in lower case, the likeliest first. */
const BLANK_NAMES: readonly string[] = ['<blk>', '<blank>', '[blank]', '<eps>', '<epsilon>'];
const UNK_NAMES: readonly string[] = ['<unk>', '[unk]', '<unknown>'];

/** Whether a word begins with a character that needs no mark in front: Chinese is written without spaces. */
export const startsUnmarked = (word: string) => /^\p{Script=Han}/u.test(word);

/**
 * Words of a text: between spaces, and where a script with spaces stands beside Chinese; kana and punctuation behind Chinese
 * are of one piece with it.
 */
const WORDS =
  /\p{Script=Han}(?:(?![\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}])\S)*|(?:(?!\p{Script=Han})\S)+/gu;

/** Spaces between Chinese characters, which some tables mark like words. */
const SPACES_IN_CHINESE = /(?<=\p{Script=Han}) +(?=\p{Script=Han})/gu;

/** Texts one after the other: with a space between, but not between Chinese characters. */
export const joinTexts = (texts: readonly string[]) => texts.join(' ').replace(SPACES_IN_CHINESE, '');

/** A token that stands for one byte of UTF-8 (BPE with byte fallback). */
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * In tables of sentencepiece's unigram model the r-th token has a log-probability near -(2.5 + log r): so much that of 772
 * words of English 766 are split as by its own scores (test/fixtures/sentencepiece-unigram.json has half of them).
 */
const PIECE_COST = 2.5;
/** Of a letter that is no token: more than any split without it. */
const UNKNOWN_COST = 1000;

/** The token table of a model: `tokens.txt`, one `symbol id` per line, as k2 and sherpa-onnx write it. */
export class TokenTable {
  /** The symbol of each token, by its id. */
  readonly symbols: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  /** Whether words begin with the mark, as in tables of sentencepiece, and do not end with it. */
  readonly marksStart: boolean;
  /** Tokens that each stand for a whole phrase, which the model was taught; nothing is spelled with them. */
  readonly phraseIds: readonly number[];
  readonly #phrases: ReadonlySet<number>;
  readonly #longest: number;
  readonly #isUnigram: boolean;

  private constructor(symbols: readonly string[], phraseIds: readonly number[] = []) {
    this.symbols = symbols;
    this.phraseIds = phraseIds;
    this.#phrases = new Set(phraseIds);
    this.#ids = new Map(symbols.map((symbol, id) => [symbol, id]));
    const spelling = symbols.filter((_, id) => !this.#phrases.has(id));
    this.#longest = spelling.reduce((longest, { length }) => Math.max(longest, length), 0);
    const pieces = spelling.filter((symbol) => !SPECIAL.test(symbol) && symbol !== WORD_BOUNDARY);
    const isLetter = (piece: string) => [...piece].length === 1;
    const lastOfLetters = pieces.findLastIndex((piece) => !isLetter(piece));
    const before = pieces.slice(0, Math.max(0, lastOfLetters)).filter(isLetter).length;
    // A few single characters may come first in BPE as well: symbols that its user has defined.
    this.#isUnigram = before > pieces.filter(isLetter).length / 2;
    this.marksStart = spelling.some((symbol) => symbol.length > 1 && symbol.startsWith(WORD_BOUNDARY));
  }

  /**
   * Reads `tokens.txt`. Disambiguation symbols (`#0`, `#1`, …) at its end, which k2 uses in lexicons and no model
   * emits, are left out.
   *
   * @throws RillError `bad-model` for lines that are not `symbol id`, and for missing or double ids.
   */
  static parse(text: string): TokenTable {
    const bad = (got: string, expected: string) =>
      new RillError('bad-model', { got, expected, remedy: 'Use the tokens.txt that belongs to the checkpoint.' });
    const symbols: string[] = [];
    const lines = text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .filter((line) => line.trim() !== '');
    for (const [number, line] of lines.entries()) {
      // A symbol may be any space but these two; a line without one stands for the space.
      const match = /^([^ \t]*)[ \t]+(\d+)[ \t]*$/.exec(line);
      const id = Number(match?.[2]);
      if (!match || id >= lines.length || symbols[id] !== undefined) {
        throw bad(
          `line ${number + 1} of tokens.txt: ${shown(line)}`,
          `"symbol id" with each id from 0 to ${lines.length - 1} once`,
        );
      }
      symbols[id] = match[1];
    }
    while (symbols.length > 0 && /^#\d+$/.test(symbols[symbols.length - 1])) {
      symbols.pop();
    }
    if (symbols.length === 0) {
      throw bad('a tokens.txt without tokens', 'one "symbol id" per line');
    }
    // The space itself, as a symbol, is what others write as a mark.
    const space = symbols.includes(WORD_BOUNDARY) ? ' ' : WORD_BOUNDARY;
    return new TokenTable(symbols.map((symbol) => symbol || space));
  }

  /** The same table where some tokens stand for whole phrases. @param phraseIds ids of the table */
  withPhrases(phraseIds: readonly number[]): TokenTable {
    return new TokenTable(this.symbols, phraseIds);
  }

  /** The table with a token more, which stands for a phrase: `hey▁rill▁`, or with marks in front where the table has them so. */
  withPhrase(phrase: string): TokenTable {
    const words = phrase.split(' ').map((word) => (this.marksStart ? WORD_BOUNDARY + word : word + WORD_BOUNDARY));
    return new TokenTable([...this.symbols, words.join('')], [...this.phraseIds, this.size]);
  }

  /** The table without one of its phrases; the tokens behind it move up. */
  withoutPhrase(phraseId: number): TokenTable {
    const phraseIds = this.phraseIds.filter((id) => id !== phraseId).map((id) => (id > phraseId ? id - 1 : id));
    return new TokenTable(
      this.symbols.filter((_, id) => id !== phraseId),
      phraseIds,
    );
  }

  /** The token that stands for a phrase, by its text in any case, if there is one. */
  phraseId(phrase: string): number | undefined {
    const wanted = phrase.toLowerCase().replace(SPACES_IN_CHINESE, '');
    return this.phraseIds.find((id) => this.text([id]).toLowerCase() === wanted);
  }

  /** Whether a token stands for a whole phrase. */
  isPhrase(id: number): boolean {
    return this.#phrases.has(id);
  }

  /** How many tokens there are. */
  get size(): number {
    return this.symbols.length;
  }

  /** The token that is called as blanks are (`<blk>`, `<blank>`, `<eps>`, in any case), if there is one. */
  get blankId(): number | undefined {
    return this.#firstOf(BLANK_NAMES);
  }

  /** The token that is called as unknown ones are (`<unk>`, in any case), if there is one. */
  get unkId(): number | undefined {
    return this.#firstOf(UNK_NAMES);
  }

  #firstOf(names: readonly string[]): number | undefined {
    const lower = this.symbols.map((symbol) => symbol.toLowerCase());
    const [first] = names.map((name) => lower.indexOf(name)).filter((id) => id >= 0);
    return first;
  }

  /** The id of a symbol, where the table has it. */
  idOf(symbol: string): number | undefined {
    return this.#ids.get(symbol);
  }

  /** The id of a symbol that text is spelled with. */
  #pieceId(symbol: string): number | undefined {
    const id = this.idOf(symbol);
    return id === undefined || this.isPhrase(id) ? undefined : id;
  }

  /**
   * Joins tokens into text: word boundaries become spaces, but not between Chinese characters, byte tokens (`<0xE4>`)
   * characters, the ends are trimmed. Bytes at the end that are not a character yet are held back. A phrase that the model was
   * taught stands between spaces.
   */
  text(ids: readonly number[]): string {
    const symbols = ids.map((id) => this.symbols[id] ?? `<${id}>`);
    if (ids.some((id) => this.isPhrase(id))) {
      const apart = symbols.map((symbol, i) => (this.isPhrase(ids[i]) ? ` ${symbol} ` : symbol));
      return joinSymbols(apart).replace(/ +/g, ' ').replace(SPACES_IN_CHINESE, '').trim();
    }
    return joinSymbols(symbols).replace(SPACES_IN_CHINESE, '').trim();
  }

  /**
   * Splits text into the model's tokens as sentencepiece does. In a table of its BPE, where single characters come last,
   * neighbours that make a token are joined, the token with the lowest id (the first one learned) before the others. In
   * one of its unigram model, where tokens stand in the order of their probability, the likeliest split is taken; their
   * probabilities are not in tokens.txt and are reckoned from that order. Letters are taken in the case that the table has;
   * characters that it lacks in either are taken as Unicode's NFKC has them, as sentencepiece does, or become bytes, where
   * it has those.
   *
   * @returns ids, or undefined when the tokens cannot spell the text
   */
  encode(text: string): number[] | undefined {
    const forms = new Set([text, text.normalize('NFKC')]);
    const candidates = [...forms].flatMap((form) => [form, form.toUpperCase(), form.toLowerCase()]);
    for (const candidate of candidates) {
      const ids = this.#spell(candidate, false);
      if (ids) {
        return ids;
      }
    }
    // The case that needs the fewest bytes.
    const spelt = candidates.map((candidate) => this.#spell(candidate, true)).filter((ids) => ids !== undefined);
    return spelt.sort((a, b) => a.length - b.length).at(0);
  }

  #spell(text: string, inBytes: boolean): number[] | undefined {
    const words = text.match(WORDS) ?? [];
    const ids = words.flatMap((word) => {
      const letters = [...word];
      if (startsUnmarked(word)) {
        return this.#split(letters).flatMap((piece) => {
          // Where Chinese was spaced out for training, its characters stand behind the mark of a word.
          return (
            this.#pieceId(piece) ?? this.#pieceId(WORD_BOUNDARY + piece) ?? (inBytes ? this.#bytes(piece) : undefined)
          );
        });
      }
      if (this.marksStart) {
        letters.unshift(WORD_BOUNDARY);
      } else if (this.#pieceId(WORD_BOUNDARY) !== undefined) {
        letters.push(WORD_BOUNDARY);
      }
      return this.#split(letters).flatMap(
        (piece) => this.#pieceId(piece) ?? (inBytes ? this.#bytes(piece) : undefined),
      );
    });
    return ids.every((id) => id !== undefined) ? ids : undefined;
  }

  /** Letters joined into pieces, each a token where it can be one. */
  #split(letters: readonly string[]): string[] {
    return this.#isUnigram ? this.#likeliest(letters) : this.#joined(letters);
  }

  /** Neighbours joined while they make tokens. */
  #joined(letters: readonly string[]): string[] {
    const pieces = [...letters];
    for (;;) {
      let best: { at: number; id: number } | undefined;
      for (let at = 0; at + 1 < pieces.length; at++) {
        const id = this.#pieceId(pieces[at] + pieces[at + 1]);
        if (id !== undefined && (best === undefined || id < best.id)) {
          best = { at, id };
        }
      }
      if (!best) {
        return pieces;
      }
      pieces.splice(best.at, 2, pieces[best.at] + pieces[best.at + 1]);
    }
  }

  /** The pieces of the least cost in all (Viterbi). */
  #likeliest(letters: readonly string[]): string[] {
    const ends: { cost: number; pieces: string[] }[] = [{ cost: 0, pieces: [] }];
    for (let end = 1; end <= letters.length; end++) {
      let piece = '';
      for (let start = end - 1; start >= 0 && piece.length < this.#longest; start--) {
        piece = letters[start] + piece;
        const id = SPECIAL.test(piece) ? undefined : this.#pieceId(piece);
        if (id === undefined && start < end - 1) {
          continue;
        }
        const cost = ends[start].cost + (id === undefined ? UNKNOWN_COST : PIECE_COST + Math.log(Math.max(1, id)));
        if (!(ends[end]?.cost <= cost)) {
          ends[end] = { cost, pieces: [...ends[start].pieces, piece] };
        }
      }
    }
    return ends[letters.length].pieces;
  }

  /** Byte tokens of a character that has no token of its own. */
  #bytes(piece: string): (number | undefined)[] {
    return [...new TextEncoder().encode(piece)].map((byte) =>
      this.#pieceId(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
  }

  /** The text of `tokens.txt`. */
  toString(): string {
    return this.symbols.map((symbol, id) => `${symbol} ${id}\n`).join('');
  }
}

/** Symbols as text: marks become spaces, byte tokens characters; bytes at the end that are not one yet are left out. */
export function joinSymbols(symbols: readonly string[]): string {
  const decoder = new TextDecoder();
  const pieces = symbols.map((symbol) => {
    const byte = BYTE_TOKEN.exec(symbol);
    return byte
      ? decoder.decode(Uint8Array.of(parseInt(byte[1], 16)), { stream: true })
      : decoder.decode() + symbol.replaceAll(WORD_BOUNDARY, ' ');
  });
  return pieces.join('');
}
