import { encoderFrames } from '../model/sizes.ts';
import { padded } from '../webgpu/weights.ts';
import type { BatchSize } from './operations.ts';

/**
 * Features as the convolutions read them: frame by frame, each value a vec4 for itself; nothing of what pads them.
 *
 * @param features (N, T, numFeatures)
 * @param lens feature frames of each utterance
 */
export function spreadFeatures(
  features: Float32Array,
  lens: readonly number[],
  numFeatures: number,
  { utterances, frames }: BatchSize,
): Float32Array<ArrayBuffer> {
  const longest = features.length / utterances / numFeatures;
  const times = 4 * frames + 5;
  const spread = new Float32Array(times * utterances * numFeatures * 4);
  for (let n = 0; n < utterances; n++) {
    const own = Math.min(times, 4 * encoderFrames(lens[n]) + 5);
    for (let t = 0; t < own; t++) {
      for (let f = 0; f < numFeatures; f++) {
        spread[((t * utterances + n) * numFeatures + f) * 4] = features[(n * longest + t) * numFeatures + f];
      }
    }
  }
  return spread;
}

/** Values (N, T', width), frame by frame, each row padded to `rowWidth` with zeros. */
export function byFrame(
  values: ArrayLike<number>,
  { utterances, frames }: BatchSize,
  rowWidth?: number,
): Float32Array<ArrayBuffer> {
  const width = values.length / utterances / frames;
  const stride = rowWidth ?? width;
  const rows = new Float32Array(utterances * frames * stride);
  for (let n = 0; n < utterances; n++) {
    for (let t = 0; t < frames; t++) {
      for (let k = 0; k < width; k++) {
        rows[(t * utterances + n) * stride + k] = values[(n * frames + t) * width + k];
      }
    }
  }
  return rows;
}

/**
 * Hidden states as a layer reads them: frame by frame, each row padded; nothing of what pads them.
 *
 * @param hidden (N, T', width), T' of the longest
 */
export function spreadHidden(
  hidden: Float32Array,
  lens: readonly number[],
  width: number,
  size: BatchSize,
): Float32Array<ArrayBuffer> {
  const rows = byFrame(hidden, size, padded(width));
  lens.forEach((len, n) => {
    for (let t = encoderFrames(len); t < size.frames; t++) {
      const row = (t * size.utterances + n) * padded(width);
      rows.fill(0, row, row + padded(width));
    }
  });
  return rows;
}

/** What lies frame by frame, of each utterance in its own frames: (T'_n, width). */
export function byUtterance(rows: Float32Array, lens: readonly number[], width: number): Float32Array<ArrayBuffer>[] {
  return lens.map((len, n) => {
    const own = new Float32Array(encoderFrames(len) * width);
    for (let t = 0; t * width < own.length; t++) {
      const row = (t * lens.length + n) * padded(width);
      own.set(rows.subarray(row, row + width), t * width);
    }
    return own;
  });
}
