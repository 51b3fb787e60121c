/** What utterances should say, and which loss tells how far a network is from it. */

/** What is trained on top of the encoder. */
export type Head = 'ctc' | 'transducer';

/** Whether a symbol stays on its frame, `regular`, or takes it, `modified`: then there is at most one a frame. As k2 has it. */
export type RnntType = 'regular' | 'modified';

/** The loss of a batch: the sum over its utterances, or the mean of each by its tokens, as PyTorch's `ctc_loss` has it. */
export type Reduction = 'sum' | 'mean';

/** Exactly one frame of a window says a token, all other frames say blank. */
export interface Spike {
  /** 0, which is blank, where nothing is said. */
  token: number;
  /** The window's first encoder frame, and the one behind its last. */
  window: readonly [first: number, end: number];
}

/** What an utterance should say: token ids without blanks, wherever they may fall, or one token in a window. */
export type Target = readonly number[] | Spike;

/** What the utterances of a batch should say. */
export interface TargetBatch<Own extends Target = Target> {
  /** Feature frames of each utterance. */
  lens: readonly number[];
  /** What each says. */
  targets: readonly Own[];
  /** What each utterance's loss is multiplied by; 1 by default. */
  weights?: readonly number[];
}

export const isSpike = (target: Target): target is Spike => 'token' in target;

/** The part of a spike's window that an utterance has: none where nothing is said. */
export function windowOf({ token, window: [first, end] }: Spike, frames: number): [first: number, end: number] {
  return token === 0 ? [0, 0] : [Math.max(first, 0), Math.min(end, frames)];
}

/** Encoder frames that labels need at least: one each, and a blank between two that are equal. */
export const framesNeeded = (labels: readonly number[]) =>
  labels.length + labels.filter((label, i) => i > 0 && label === labels[i - 1]).length;

/** Whether a target can be said in so many encoder frames: there is room for its labels, or a frame of its window. */
export function fits(target: Target, frames: number): boolean {
  if (!isSpike(target)) {
    return framesNeeded(target) <= frames;
  }
  const [first, end] = windowOf(target, frames);
  return target.token === 0 || first < end;
}
