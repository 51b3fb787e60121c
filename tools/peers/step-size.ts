import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../../src/model/sizes.ts';
import { randomSource } from '../runtime/random-model.ts';

/** How much goes into a step. */
export interface StepSize {
  streams: number;
  /** Encoder frames of each. */
  frames: number;
}

const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;

/** `32 streams × 4 frames` */
export const sizeName = ({ streams, frames }: StepSize) => `${plural(streams, 'stream')} × ${plural(frames, 'frame')}`;

/**
 * Multiplications of a step of one stream, each with an addition: convolutions and products. What is computed anew for the
 * left context counts, since every contender does so.
 */
export function multiplications(sizes: EncoderSizes, frames: number): number {
  const { numFeatures, channels, dModel: d, rnnHiddenSize: hidden, dimFeedforward, hasProjection } = sizes;
  const freqs = subsampledFreqs(numFeatures);
  const times = [SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES - 2, 2 * frames + 1, frames];
  const inputs = [1, channels[0], channels[1]];
  const convolutions = channels.reduce((sum, outputs, i) => sum + 9 * inputs[i] * outputs * times[i] * freqs[i], 0);
  const embedding = freqs[2] * channels[2] * d;
  const gates = 4 * hidden * (d + (hasProjection ? d : hidden));
  const layer = gates + (hasProjection ? hidden * d : 0) + 2 * d * dimFeedforward;
  return convolutions + frames * (embedding + sizes.numEncoderLayers * layer);
}

/** Features of made-up streams, chunk by chunk with left context: (streams, 4n + 5, num_features) each time. */
export function windows(numFeatures: number, { streams, frames }: StepSize): () => Float32Array<ArrayBuffer> {
  const length = (SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES) * numFeatures;
  const kept = CONTEXT_FRAMES * numFeatures;
  const random = randomSource(3);
  const next = () => 4 * random() - 8;
  const window = new Float32Array(streams * length).map(next);
  let isFirst = true;
  return () => {
    for (let start = 0; start < window.length && !isFirst; start += length) {
      window.copyWithin(start, start + length - kept, start + length);
      for (let i = start + kept; i < start + length; i++) {
        window[i] = next();
      }
    }
    isFirst = false;
    return window.slice();
  };
}
