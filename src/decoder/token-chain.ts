import { badSnapshot } from '../snapshot/bytes.ts';
import { list, record, whole, type Field } from '../snapshot/fields.ts';
import { tokenField, type DecodedToken } from './decoder.ts';

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

/**
 * Chains in a snapshot: every node once, behind the one before it, so that what chains share they share again. Places count
 * from 1; 0 stands for none.
 */
export function chainsField(vocabSize: number): Field<TokenChain[]> {
  const nodes = list(record({ token: tokenField(vocabSize), before: whole() }));
  const ends = list(whole());
  return {
    write(to, chains) {
      const placed = placeNodes(chains);
      const placeOf = (chain: TokenChain) => (chain && placed.get(chain)) ?? 0;
      nodes.write(
        to,
        [...placed.keys()].map(({ token, before }) => ({ token, before: placeOf(before) })),
      );
      ends.write(to, chains.map(placeOf));
    },
    read(from) {
      const chains: TokenChain[] = [undefined];
      const at = (place: number) => {
        if (place >= chains.length) {
          throw badSnapshot(`token ${place} of ${chains.length - 1} in a snapshot`, 'one that stands before');
        }
        return chains[place];
      };
      for (const { token, before } of nodes.read(from)) {
        chains.push(extendChain(at(before), token));
      }
      return ends.read(from).map(at);
    },
  };
}

/**
 * Paths of a beam in a snapshot: their tokens, then what each has beside them.
 *
 * @param most that there can be; at least one there has to be
 */
export function pathsField<Rest extends object>(
  vocabSize: number,
  rest: Field<Rest>,
  most: number,
): Field<(Rest & { tokens: TokenChain })[]> {
  const chains = chainsField(vocabSize);
  return {
    write(to, paths) {
      chains.write(
        to,
        paths.map(({ tokens }) => tokens),
      );
      paths.forEach((path) => {
        rest.write(to, path);
      });
    },
    read(from) {
      const read = chains.read(from);
      if (read.length < 1 || read.length > most) {
        throw badSnapshot(`a search with ${read.length} paths in a snapshot`, `1 to ${most}`);
      }
      return read.map((tokens) => ({ ...rest.read(from), tokens }));
    },
  };
}

/** The nodes of chains, each behind the one before it, with their places from 1 on. */
function placeNodes(chains: readonly TokenChain[]): Map<TokenNode, number> {
  const placed = new Map<TokenNode, number>();
  for (const chain of chains) {
    const fresh: TokenNode[] = [];
    for (let node = chain; node && !placed.has(node); node = node.before) {
      fresh.push(node);
    }
    fresh.reverse().forEach((node) => placed.set(node, placed.size + 1));
  }
  return placed;
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
