import { RillError, shown } from '../errors.ts';

/** Marks where a word begins (BPE models) or ends (the bundled model): a space in text. */
export const WORD_BOUNDARY = '▁';

/** A token that stands for one byte of UTF-8 (BPE with byte fallback). */
const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The token table of a model: `tokens.txt`, one `symbol id` per line, as k2 and sherpa-onnx write it. */
export class TokenTable {
  readonly symbols: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  private constructor(symbols: readonly string[]) {
    this.symbols = symbols;
    this.#ids = new Map(symbols.map((symbol, id) => [symbol, id]));
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
    const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
    for (const [number, line] of lines.entries()) {
      const match = /^(\S+)\s+(\d+)\s*$/.exec(line);
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
    return new TokenTable(symbols);
  }

  get size(): number {
    return this.symbols.length;
  }

  idOf(symbol: string): number | undefined {
    return this.#ids.get(symbol);
  }

  /**
   * Joins tokens into text: word boundaries become spaces, byte tokens (`<0xE4>`) characters, the ends are
   * trimmed. Bytes at the end that are not a character yet are held back.
   */
  text(ids: readonly number[]): string {
    const decoder = new TextDecoder();
    const pieces = ids.map((id) => {
      const symbol = this.symbols[id] ?? `<${id}>`;
      const byte = BYTE_TOKEN.exec(symbol);
      return byte
        ? decoder.decode(Uint8Array.of(parseInt(byte[1], 16)), { stream: true })
        : decoder.decode() + symbol.replaceAll(WORD_BOUNDARY, ' ');
    });
    return pieces.join('').trim();
  }

  /**
   * Splits text into the model's tokens as sentencepiece's BPE does: characters first, then whatever neighbours make a
   * token are joined, the token with the lowest id (the first one learned) before the others. Letters are taken in the
   * case that the table has; characters that it lacks become bytes, where it has those.
   *
   * @returns ids, or undefined when the tokens cannot spell the text
   */
  encode(text: string): number[] | undefined {
    for (const candidate of [text, text.toUpperCase(), text.toLowerCase()]) {
      const ids = this.#spell(candidate);
      if (ids) {
        return ids;
      }
    }
    return undefined;
  }

  #spell(text: string): number[] | undefined {
    const words = text.split(/\s+/).filter(Boolean);
    // BPE tables have the mark in front of a word's first letters; where it stands alone it closes the word.
    const marksStart = this.symbols.some((symbol) => symbol.length > 1 && symbol.startsWith(WORD_BOUNDARY));
    const pieces = words.flatMap((word) => {
      const letters = [...word];
      return marksStart
        ? [WORD_BOUNDARY, ...letters]
        : this.idOf(WORD_BOUNDARY) !== undefined
          ? [...letters, WORD_BOUNDARY]
          : letters;
    });
    for (;;) {
      let best: { at: number; id: number } | undefined;
      for (let at = 0; at + 1 < pieces.length; at++) {
        const id = this.idOf(pieces[at] + pieces[at + 1]);
        if (id !== undefined && (best === undefined || id < best.id)) {
          best = { at, id };
        }
      }
      if (!best) {
        break;
      }
      pieces.splice(best.at, 2, pieces[best.at] + pieces[best.at + 1]);
    }
    const ids = pieces.flatMap((piece): (number | undefined)[] => {
      const id = this.idOf(piece);
      return id === undefined ? this.#bytes(piece) : [id];
    });
    return ids.every((id) => id !== undefined) ? ids : undefined;
  }

  /** Byte tokens of a character that has no token of its own. */
  #bytes(piece: string): (number | undefined)[] {
    return [...new TextEncoder().encode(piece)].map((byte) =>
      this.idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
  }

  toString(): string {
    return this.symbols.map((symbol, id) => `${symbol} ${id}\n`).join('');
  }
}
