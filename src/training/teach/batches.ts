import { stacked } from '../../waveform/arrays.ts';
import { Randoms } from '../augment/randoms.ts';
import type { HiddenBatch } from '../batch.ts';
import { SITES } from '../draws.ts';
import type { Pool, PoolEntry } from './pool.ts';
import { BATCH, type PoolCounts } from './recipe.ts';

/** Kinds that go through the network side by side: those of one length. */
const GROUPS: readonly (readonly (keyof PoolCounts)[])[] = [['phrase', 'rehearsal', 'short'], ['long']];

/** Utterances of the largest batch. */
export const LARGEST_BATCH = Math.max(...GROUPS.map((kinds) => kinds.reduce((sum, kind) => sum + BATCH[kind], 0)));

/** A batch of entries. */
function batchOf(entries: readonly PoolEntry[]): HiddenBatch {
  return {
    hidden: stacked(entries.map(({ hidden }) => hidden)),
    lens: entries.map(({ frames }) => frames),
    targets: entries.map(({ target }) => target),
  };
}

/** What a step learns from, drawn from the pool: short recordings, and long ones. */
export function drawEntries(pool: Pool, seed: number, step: number): PoolEntry[][] {
  const randoms = new Randoms({ seed, microStep: step }, SITES.teachBatch, 0);
  const drawn = (kind: keyof PoolCounts) => {
    const count = pool[kind].length > 0 ? BATCH[kind] : 0;
    return Array.from({ length: count }, () => pool[kind][randoms.integer(0, pool[kind].length)]);
  };
  return GROUPS.map((kinds) => kinds.flatMap(drawn)).filter((entries) => entries.length > 0);
}

/** A step's batches, whose gradients are added up. */
export const drawBatches = (pool: Pool, seed: number, step: number): HiddenBatch[] =>
  drawEntries(pool, seed, step).map(batchOf);
