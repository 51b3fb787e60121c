import { describe, expect, it } from 'vitest';
import { Access, parseTokens } from '../../src/server/access.ts';
import { failure } from '../support/failure.ts';

const query = (text = '') => new URLSearchParams(text);

describe('access', () => {
  const access = new Access(['first', 'second']);

  it.each([
    ['Bearer first', ''],
    ['bearer  second ', ''],
    [undefined, 'token=second'],
  ])('opens to %s, ?%s', (authorization, text) => {
    expect(access.allows({ authorization, query: query(text) })).toBe(true);
  });

  it.each([
    [undefined, ''],
    ['Bearer ', ''],
    ['Bearer firs', ''],
    ['Basic first', ''],
    [undefined, 'token='],
    ['Bearer wrong', 'token=first'],
  ])('stays closed to %s, ?%s', (authorization, text) => {
    expect(access.allows({ authorization, query: query(text) })).toBe(false);
  });

  it('is open to all without tokens, and a file without one is refused', async () => {
    expect(new Access().allows({ query: query() })).toBe(true);
    expect(parseTokens('# of the web\nfirst\r\n\n second \n')).toEqual(['first', 'second']);
    await failure('bad-argument', () => parseTokens('# none\n\n'));
  });
});
