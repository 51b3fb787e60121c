/** Errors of one hypothesis against its reference, in words. */
export interface WordErrors {
  /** Of the reference. */
  words: number;
  /** Words that are others. */
  substitutions: number;
  /** Words that are too many. */
  insertions: number;
  /** Words that are missing. */
  deletions: number;
}

/** The words of a text as they are compared: whatever its case and its spaces. */
export const split = (text: string) => text.toLowerCase().split(/\s+/).filter(Boolean);

/** Least-cost alignment (Levenshtein) of two texts, ties in favour of substitutions. */
export function wordErrors(reference: string, hypothesis: string): WordErrors {
  const [ref, hyp] = [split(reference), split(hypothesis)];
  interface Cell {
    cost: number;
    substitutions: number;
    insertions: number;
    deletions: number;
  }
  let above: Cell[] = [...hyp, ''].map((_, j) => ({ cost: j, substitutions: 0, insertions: j, deletions: 0 }));
  for (const [i, word] of ref.entries()) {
    const row: Cell[] = [{ cost: i + 1, substitutions: 0, insertions: 0, deletions: i + 1 }];
    for (const [j, heard] of hyp.entries()) {
      const [diagonal, up, left] = [above[j], above[j + 1], row[j]];
      const wrong = word === heard ? 0 : 1;
      if (diagonal.cost + wrong <= Math.min(up.cost, left.cost) + 1) {
        row.push({ ...diagonal, cost: diagonal.cost + wrong, substitutions: diagonal.substitutions + wrong });
      } else if (up.cost <= left.cost) {
        row.push({ ...up, cost: up.cost + 1, deletions: up.deletions + 1 });
      } else {
        row.push({ ...left, cost: left.cost + 1, insertions: left.insertions + 1 });
      }
    }
    above = row;
  }
  const { substitutions, insertions, deletions } = above[hyp.length];
  return { words: ref.length, substitutions, insertions, deletions };
}

/** How often a phrase stands in a text as whole words. */
export function countPhrase(text: string, phrase: string): number {
  const [words, wanted] = [split(text), split(phrase)];
  return words.filter((_, i) => wanted.every((word, j) => words[i + j] === word)).length;
}
