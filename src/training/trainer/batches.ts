import { stacked } from '../../waveform/arrays.ts';
import type { TrainingBatch } from '../batch.ts';
import { rowsOf, type Capacity } from '../operations.ts';
import { framesOf, type Dataset } from './dataset.ts';

/**
 * How much room the largest batch of a set takes.
 *
 * @param slowest speed that recordings are taken at
 */
export function capacityOf(
  { utterances, model }: Dataset,
  { batchSize, maxDuration = Infinity }: { batchSize: number; maxDuration?: number },
  slowest = 1,
): Capacity {
  const most = Math.min(batchSize, utterances.length);
  let [frames, rows, labels, largest] = [1, 1, 1, 1];
  for (const utterance of utterances) {
    const own = framesOf(utterance.seconds / slowest, model.config.features);
    const count = Math.max(1, Math.min(most, Math.floor(maxDuration / utterance.seconds)));
    frames = Math.max(frames, own);
    rows = Math.max(rows, count * own);
    labels = Math.max(labels, utterance.tokens.length);
    largest = Math.max(largest, count);
  }
  return { utterances: largest, frames, rows, labels };
}

/** A capacity for what either is for. */
export function widened(a: Capacity, b: Capacity): Capacity {
  const rows = Math.max(rowsOf(a), rowsOf(b));
  return {
    utterances: Math.max(a.utterances, b.utterances),
    frames: Math.max(a.frames, b.frames),
    labels: Math.max(a.labels, b.labels),
    rows,
  };
}

/**
 * Recordings as one batch.
 *
 * @param features of each, (frames, num_features)
 */
export function batchOf(
  features: readonly Float32Array[],
  targets: readonly (readonly number[])[],
  numFeatures: number,
): TrainingBatch & { features: Float32Array } {
  return { features: stacked(features), lens: features.map(({ length }) => length / numFeatures), targets };
}
