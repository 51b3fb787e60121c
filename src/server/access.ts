import { createHash, timingSafeEqual } from 'node:crypto';
import { RillError } from '../errors.ts';

/** What a request brings to show that it may: a header, or a query, because browsers' WebSockets have no headers. */
export interface Credentials {
  authorization?: string;
  query: URLSearchParams;
}

const digest = (token: string) => createHash('sha256').update(token).digest();

/** Who may speak to a server: whoever has one of its tokens, or everybody where it has none. */
export class Access {
  readonly #tokens: readonly Buffer[];

  /** @param tokens any of which opens; none for a server that is open to all */
  constructor(tokens: readonly string[] = []) {
    this.#tokens = tokens.map(digest);
  }

  /** Whether anybody may speak to the server. */
  get isOpen(): boolean {
    return this.#tokens.length === 0;
  }

  /** Whether a request may pass. Takes as long for a token that is nearly right as for any other. */
  allows({ authorization = '', query }: Credentials): boolean {
    if (this.isOpen) {
      return true;
    }
    const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? query.get('token');
    if (given === null) {
      return false;
    }
    const hashed = digest(given);
    return this.#tokens.reduce((found, token) => timingSafeEqual(hashed, token) || found, false);
  }
}

/**
 * Reads a file of tokens, one a line; lines that are empty or begin with `#` are left out.
 *
 * @throws RillError `bad-argument` for a file without a token: it must not open the server to all.
 */
export function parseTokens(text: string): string[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const tokens = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (tokens.length === 0) {
    throw new RillError('bad-argument', {
      got: 'a token file without a token',
      expected: 'one token a line',
      remedy: 'Write one into it, for example of openssl rand -hex 32; or leave the option out.',
    });
  }
  return tokens;
}
