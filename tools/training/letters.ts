import type { Item } from '../manifest.ts';

/** The text of a `tokens.txt` for some texts: their letters, words ending in a mark, as the bundled model has them. */
export function lettersOf(items: readonly Pick<Item, 'text'>[]): string {
  const letters = new Set(items.flatMap(({ text }) => [...text.toLowerCase().replace(/\s+/g, '')]));
  return ['<blk>', ...[...letters].sort(), '▁', '<unk>'].map((symbol, id) => `${symbol} ${id}\n`).join('');
}
