import { SITES } from '../draws.ts';
import { Randoms } from '../augment/randoms.ts';

/** How an epoch's batches are made up. */
export interface SamplerOptions {
  /** Most utterances of a batch. */
  batchSize: number;
  /** Most seconds of a batch, what pads among them; no limit by default. An utterance that is longer is a batch of its own. */
  maxDuration?: number;
  seed: number;
}

/** Utterances of like length come from one of so many parts of the set, whole batches each, as lhotse's bucketing sampler has them. */
const BUCKETS = 10;

/**
 * The batches of an epoch, in the order in which they are trained: of like length each, in an order that is drawn from seed and
 * epoch.
 *
 * @param seconds of each utterance
 * @param epoch counted from 0
 * @returns places of utterances
 */
export function epochBatches(
  seconds: readonly number[],
  epoch: number,
  { batchSize, maxDuration = Infinity, seed }: SamplerOptions,
): number[][] {
  const randoms = new Randoms({ seed, microStep: 0 }, SITES.shuffling, epoch & 0xffff);
  const byLength = seconds.map((_, n) => n).sort((a, b) => seconds[a] - seconds[b] || a - b);
  const bucketSize = batchSize * Math.ceil(byLength.length / BUCKETS / batchSize);
  const batches: number[][] = [];
  for (let first = 0; first < byLength.length; first += bucketSize) {
    const bucket = shuffled(byLength.slice(first, first + bucketSize), randoms);
    let batch: number[] = [];
    let longest = 0;
    for (const n of bucket) {
      const isFull = batch.length === batchSize || (batch.length + 1) * Math.max(longest, seconds[n]) > maxDuration;
      if (isFull && batch.length > 0) {
        batches.push(batch);
        [batch, longest] = [[], 0];
      }
      batch.push(n);
      longest = Math.max(longest, seconds[n]);
    }
    batches.push(batch);
  }
  return shuffled(batches, randoms);
}

/** Fisher and Yates' shuffle; a copy. */
function shuffled<Item>(items: readonly Item[], randoms: Randoms): Item[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = randoms.integer(0, last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}
