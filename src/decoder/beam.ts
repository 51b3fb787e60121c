import { list, type Field } from '../snapshot/fields.ts';
import { tokenIdField } from './decoder.ts';
import { logSoftmax, type TransducerJoiner } from './joiner.ts';
import { largest, logAdd, sameTokens, type TokenChain } from './token-chain.ts';

/** Paths that a beam search keeps from frame to frame, unless told otherwise. */
export const DEFAULT_ACTIVE_PATHS = 4;

/** What every path of a transducer beam search has. */
export interface BeamPath {
  /** The last tokens, as the joiner's decoder sees them. */
  context: readonly number[];
  tokens: TokenChain;
  logProb: number;
}

export interface Extension<Path> {
  path: Path;
  /** The token, blank included, that the path goes on with. */
  id: number;
  /** Its own log-probability, and that of the path with it. */
  own: number;
  total: number;
}

/** A path's last tokens in a snapshot. */
export const contextField = ({
  vocabSize,
  contextSize,
}: Pick<TransducerJoiner, 'vocabSize' | 'contextSize'>): Field<readonly number[]> =>
  list(tokenIdField(vocabSize, -1), contextSize);

/** The most probable ways for paths to go on with one frame, at most `maxActivePaths`. */
export function extendPaths<Path extends BeamPath>(
  joiner: TransducerJoiner,
  paths: readonly Path[],
  encoderProj: Float32Array,
  {
    blankId,
    blankPenalty = 0,
    maxActivePaths = DEFAULT_ACTIVE_PATHS,
  }: { blankId: number; blankPenalty?: number; maxActivePaths?: number },
): Extension<Path>[] {
  const extensions = paths.flatMap((path) => {
    const logits = joiner.logits(encoderProj, joiner.decoderProj(path.context));
    const logProbs = logSoftmax(logits, blankId, blankPenalty);
    return largest(logProbs, maxActivePaths).map((id) => ({
      path,
      id,
      own: logProbs[id],
      total: path.logProb + logProbs[id],
    }));
  });
  return extensions.sort((a, b) => b.total - a.total).slice(0, maxActivePaths);
}

/** Joins paths with the same tokens by log-add; the first of them stays. */
export function mergePaths<Path extends BeamPath>(paths: readonly Path[]): Path[] {
  const merged: Path[] = [];
  for (const path of paths) {
    const equal = merged.find(({ tokens }) => sameTokens(tokens, path.tokens));
    if (equal) {
      equal.logProb = logAdd(equal.logProb, path.logProb);
    } else {
      merged.push(path);
    }
  }
  return merged;
}
