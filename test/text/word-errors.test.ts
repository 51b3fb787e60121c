import { describe, expect, it } from 'vitest';
import { countPhrase, wordErrors } from '../../src/text/word-errors.ts';

describe('wordErrors', () => {
  it.each([
    ['a b c', 'a b c', 0, 0, 0],
    ['a b c', 'a x c', 1, 0, 0],
    ['a b c', 'a c', 0, 0, 1],
    ['a c', 'a b c', 0, 1, 0],
    ['', 'a b', 0, 2, 0],
    ['a b', '', 0, 0, 2],
    ['a b c d', 'b c d e', 0, 1, 1],
    ['Hello World', 'hello  world', 0, 0, 0],
  ])('aligns %j with %j', (reference, hypothesis, substitutions, insertions, deletions) => {
    expect(wordErrors(reference, hypothesis)).toMatchObject({ substitutions, insertions, deletions });
  });
});

describe('countPhrase', () => {
  it('counts whole words only', () => {
    expect(countPhrase('smart mirror smart mirrors smart mirror', 'smart mirror')).toBe(2);
    expect(countPhrase('alexathena', 'alexa')).toBe(0);
  });
});
