import type { EncoderSizes } from '../model/sizes.ts';
import { runHead, type Head } from './heads.ts';
import { rowsOf, runStep, type Network } from './step.ts';
import type { EncoderWeights } from './weights.ts';
import type { Workspace } from './workspace.ts';

/** What a thread is told first: the network, in memory that all threads share. */
export interface Setup {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  sizes: EncoderSizes;
  weights: EncoderWeights;
  weightBytes: number;
}

/** What one thread does of a step: some of its lanes, in a workspace of its own. */
export interface Share {
  space: Workspace;
  /** Encoder frames of each lane, the longest first. */
  frames: readonly number[];
  /** Heads whose outputs are read. */
  heads: readonly Head[];
}

/** Every message is answered by one: that it is done, or what went wrong. */
export interface Reply {
  failure?: string;
}

/** @param onStage as of {@link runStep} */
export function runShare(network: Network, { space, frames, heads }: Share, onStage?: () => void): void {
  const rows = rowsOf(frames);
  runStep(network, space, rows, onStage);
  for (const head of heads) {
    runHead(network, space, head, rows.total);
  }
}

/**
 * Shares lanes out: neighbours, so that those of a share are of about the same length, and of about as many frames in each
 * share.
 *
 * @param frames of each lane
 * @param most shares, at most; no more than there are lanes
 * @returns the first lane of each share, and at last the number of lanes
 */
export function shareOut(frames: readonly number[], most: number): number[] {
  const total = frames.reduce((sum, count) => sum + count, 0);
  const shares = Math.min(most, frames.length);
  const bounds = [0];
  let before = 0;
  frames.forEach((count, lane) => {
    const open = shares - bounds.length;
    const isDue = before + count / 2 >= (bounds.length * total) / shares;
    // Each share has a lane: where those that are left are just enough, each opens one.
    if (lane > 0 && open > 0 && (isDue || frames.length - lane === open)) {
      bounds.push(lane);
    }
    before += count;
  });
  return [...bounds, frames.length];
}
