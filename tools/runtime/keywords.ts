import type { Keyword } from '../../src/decoder/keywords.ts';
import { parseKeywords } from '../../src/decoder/phrase-files.ts';
import { RillError } from '../../src/errors.ts';
import type { Model } from '../../src/model/model.ts';

/**
 * The keywords to listen for, at least one.
 *
 * @param text of a keyword file; the model folder's own by default
 * @throws RillError `bad-argument` without any, `bad-model` for tokens that the model does not have.
 */
export function requireKeywords({ tokens, keywords }: Model, text = keywords ?? ''): Keyword[] {
  const wanted = tokens ? parseKeywords(text, tokens) : [];
  if (tokens && wanted.length === 0) {
    throw new RillError('bad-argument', {
      got: 'no keywords',
      expected: 'a keywords.txt in the model folder, or --keywords with a line at least',
      remedy: 'Write one keyword a line.',
    });
  }
  return wanted;
}
