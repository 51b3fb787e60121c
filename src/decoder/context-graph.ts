import { absent, optional, whole, type Field } from '../snapshot/fields.ts';

/** A phrase that a search should favour. */
export interface ContextPhrase {
  tokens: readonly number[];
  /** Added to a path's log-probability for each token of the phrase. */
  score: number;
}

/** A place in the graph: how much of which phrases has been matched. */
export interface ContextState<Phrase extends ContextPhrase = ContextPhrase> {
  /** Tokens matched. */
  readonly depth: number;
  /** Sum of the scores on the way here: what a failed match gives back. */
  readonly pending: number;
  /** The longest phrase that ends here, if any does. */
  readonly matched: Phrase | undefined;
}

/** How much of which phrases has been matched, in a snapshot; nothing without a graph. */
export const phrasesField = (graph: ContextGraph | undefined): Field<ContextState | undefined> =>
  graph ? optional(graph.stateField) : absent;

interface Node<Phrase extends ContextPhrase> extends ContextState<Phrase> {
  next: Map<number, Node<Phrase>>;
  /** Where to go on when no phrase continues: the longest proper suffix that begins one. */
  fail: Node<Phrase>;
  depth: number;
  pending: number;
  tokenScore: number;
  matched: Phrase | undefined;
  /** What the longest phrase that ends here has earned. */
  earned: number | undefined;
}

function createNode<Phrase extends ContextPhrase>(depth: number, pending: number, tokenScore: number): Node<Phrase> {
  const node = {
    next: new Map<number, Node<Phrase>>(),
    depth,
    pending,
    tokenScore,
    matched: undefined,
    earned: undefined,
  };
  return Object.assign(node, { fail: node }) as Node<Phrase>;
}

/**
 * Aho-Corasick automaton over token sequences (icefall's and sherpa-onnx's context graph): every token of a phrase earns
 * its score at once, a match that fails gives back what it had earned, a match that completes keeps it.
 */
export class ContextGraph<Phrase extends ContextPhrase = ContextPhrase> {
  readonly #root = createNode<Phrase>(0, 0, 0);
  /** All of them, in the order that the phrases bring them. */
  readonly #nodes: Node<Phrase>[] = [this.#root];

  constructor(phrases: readonly Phrase[]) {
    for (const phrase of phrases) {
      let node = this.#root;
      for (const token of phrase.tokens) {
        const known = node.next.get(token);
        const tokenScore = Math.max(phrase.score, known?.tokenScore ?? -Infinity);
        if (known) {
          known.tokenScore = tokenScore;
        }
        node = known ?? this.#grow(node, token, tokenScore);
      }
      node.matched = phrase;
    }
    this.#link();
  }

  get root(): ContextState<Phrase> {
    return this.#root;
  }

  /** A place in a snapshot, by its number: the same in every graph of the same phrases. */
  get stateField(): Field<ContextState<Phrase>> {
    const place = whole({ most: this.#nodes.length - 1 });
    return {
      write: (to, state) => {
        place.write(
          to,
          this.#nodes.findIndex((node) => node === state),
        );
      },
      read: (from) => this.#nodes[place.read(from)],
    };
  }

  /** The state after a token. */
  advance(state: ContextState<Phrase>, token: number): ContextState<Phrase> {
    let node = state as Node<Phrase>;
    while (node !== this.#root && !node.next.has(token)) {
      node = node.fail;
    }
    return node.next.get(token) ?? this.#root;
  }

  /** Whether a state is the beginning of a phrase, and not only the end of one. */
  mayGrow(state: ContextState<Phrase>): boolean {
    return (state as Node<Phrase>).next.size > 0;
  }

  /**
   * The state after a token in a search for words, and what the token adds to a path's score: less than zero when a match
   * fails. A phrase that completes keeps what it has earned, once, and the next one starts afresh (sherpa-onnx without
   * its strict mode): of phrases within one another the first to complete counts.
   */
  favour(state: ContextState<Phrase>, token: number): { state: ContextState<Phrase>; score: number } {
    const to = this.advance(state, token) as Node<Phrase>;
    return to.earned === undefined
      ? { state: to, score: to.pending - state.pending }
      : { state: this.#root, score: to.earned - state.pending };
  }

  #grow(node: Node<Phrase>, token: number, tokenScore: number): Node<Phrase> {
    const child = createNode<Phrase>(node.depth + 1, 0, tokenScore);
    node.next.set(token, child);
    this.#nodes.push(child);
    return child;
  }

  /** Breadth first: a node's suffix is shorter than the node, so its own links are there already. */
  #link(): void {
    let level = [this.#root];
    while (level.length > 0) {
      const below: Node<Phrase>[] = [];
      for (const node of level) {
        for (const [token, child] of node.next) {
          child.pending = node.pending + child.tokenScore;
          let suffix = node.fail;
          while (suffix !== this.#root && !suffix.next.has(token)) {
            suffix = suffix.fail;
          }
          const target = suffix.next.get(token);
          child.fail = target && target !== child ? target : this.#root;
          child.earned = child.matched ? child.pending : child.fail.earned;
          child.matched ??= child.fail.matched;
          below.push(child);
        }
      }
      level = below;
    }
  }
}
