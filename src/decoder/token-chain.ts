import type { DecodedToken } from './decoder.ts';

/** A path's tokens as a chain from the last to the first, so that paths share what they have in common. */
export interface TokenNode {
  token: DecodedToken;
  before: TokenNode | undefined;
  /** Tokens up to this one. */
  length: number;
}

export type TokenChain = TokenNode | undefined;

export const extendChain = (chain: TokenChain, token: DecodedToken): TokenNode => ({
  token,
  before: chain,
  length: (chain?.length ?? 0) + 1,
});

/** Tokens of a chain, the first one first. */
export function chainTokens(chain: TokenChain): DecodedToken[] {
  const tokens: DecodedToken[] = [];
  for (let node = chain; node; node = node.before) {
    tokens.push(node.token);
  }
  return tokens.reverse();
}

/** Whether two chains hold the same token ids; they end where they become one chain. */
export function sameTokens(a: TokenChain, b: TokenChain): boolean {
  let [left, right] = [a, b];
  while (left !== right) {
    if (!left || !right || left.length !== right.length || left.token.id !== right.token.id) {
      return false;
    }
    [left, right] = [left.before, right.before];
  }
  return true;
}

/** What two chains share: the last node that is in both. */
export function commonChain(a: TokenChain, b: TokenChain): TokenChain {
  let [left, right] = [a, b];
  while (left !== right) {
    if ((left?.length ?? 0) >= (right?.length ?? 0)) {
      left = left?.before;
    } else {
      right = right?.before;
    }
  }
  return left;
}

export const logAdd = (a: number, b: number): number => {
  const larger = Math.max(a, b);
  return larger === -Infinity ? larger : larger + Math.log1p(Math.exp(-Math.abs(a - b)));
};

/** Indices of the `count` largest values, the largest first. */
export function largest(values: Float32Array, count: number): number[] {
  const best: number[] = [];
  for (let k = 0; k < values.length; k++) {
    const value = values[k];
    if (best.length < count || value > values[best[best.length - 1]]) {
      let at = best.length;
      while (at > 0 && value > values[best[at - 1]]) {
        at--;
      }
      best.splice(at, 0, k);
      best.length = Math.min(best.length, count);
    }
  }
  return best;
}
