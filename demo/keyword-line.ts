/** Lines of a keyword file, for people: the file has `tok tok … :boost #threshold @phrase`, people write the phrase. */

/** What the model's tokens have between words. */
const WORD_BOUNDARY = '▁';

/** A line in plain words: its name behind `@`, else its text, or its tokens put together. */
export function plainWords(line: string): string {
  const [said, name] = line.split(/(?:^|\s)@/, 2);
  const withoutNumbers = (text: string) => text.replace(/(?:^|\s)[:#][\d.]+(?=\s|$)/g, '').trim();
  if (name !== undefined) {
    return withoutNumbers(name).replaceAll('_', ' ');
  }
  const text = withoutNumbers(said);
  return text.includes(WORD_BOUNDARY) ? text.replaceAll(' ', '').replaceAll(WORD_BOUNDARY, ' ').trim() : text;
}
