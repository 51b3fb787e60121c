import type { Randoms } from './randoms.ts';

/** How much of an utterance is masked, under lhotse's names (`SpecAugment`). Time is not warped. */
export interface SpecAugmentOptions {
  /** That an utterance is masked at all. */
  probability: number;
  /** Bands of mel bins. */
  numFeatureMasks: number;
  /** Bins of a band: from `minMaskSize` to one fewer than this. */
  featuresMaskSize: number;
  /** Stretches of frames, at most. */
  numFrameMasks: number;
  /** Frames of a stretch: from `minMaskSize` to one fewer than this. */
  framesMaskSize: number;
  /** Share of an utterance that all stretches together are kept within; shorter utterances get fewer and shorter ones. */
  maxFramesMaskFraction: number;
  /** The least width of any mask. */
  minMaskSize: number;
}

/** What icefall trains from scratch with. */
export const ICEFALL_SPEC_AUGMENT: Readonly<SpecAugmentOptions> = {
  probability: 0.9,
  numFeatureMasks: 2,
  featuresMaskSize: 27,
  numFrameMasks: 10,
  framesMaskSize: 100,
  maxFramesMaskFraction: 0.15,
  minMaskSize: 0,
};

/** What the bundled model was trained with: short utterances of one phrase. */
export const PHRASE_SPEC_AUGMENT: Readonly<SpecAugmentOptions> = {
  probability: 0.5,
  numFeatureMasks: 1,
  featuresMaskSize: 10,
  numFrameMasks: 1,
  framesMaskSize: 9,
  maxFramesMaskFraction: 1,
  minMaskSize: 1,
};

/** A stretch of an axis, its first element and the one behind its last. */
function drawMask(randoms: Randoms, length: number, minSize: number, size: number): [number, number] {
  const width = Math.min(length, randoms.integer(minSize, Math.max(size, minSize + 1)));
  const first = Math.floor(randoms.uniform(0, 1) * (length - width));
  return [first, first + width];
}

/**
 * Masks bands of mel bins and stretches of frames of one utterance with its mean.
 *
 * @param features (frames, numFeatures)
 * @returns a copy
 */
export function specAugment(
  randoms: Randoms,
  features: Float32Array,
  numFeatures: number,
  options: Readonly<SpecAugmentOptions> = ICEFALL_SPEC_AUGMENT,
): Float32Array<ArrayBuffer> {
  const masked = Float32Array.from(features);
  if (!randoms.chance(options.probability)) {
    return masked;
  }
  const frames = features.length / numFeatures;
  const mean = features.reduce((sum, value) => sum + value, 0) / Math.max(1, features.length);
  for (let k = 0; k < options.numFeatureMasks; k++) {
    const [first, end] = drawMask(randoms, numFeatures, options.minMaskSize, options.featuresMaskSize);
    for (let t = 0; t < frames; t++) {
      masked.fill(mean, t * numFeatures + first, t * numFeatures + end);
    }
  }
  const most = options.maxFramesMaskFraction * frames;
  const count = Math.min(options.numFrameMasks, Math.ceil(most / options.framesMaskSize));
  const size = Math.min(options.framesMaskSize, Math.floor(most / count));
  for (let k = 0; k < count; k++) {
    const [first, end] = drawMask(randoms, frames, options.minMaskSize, size);
    masked.fill(mean, first * numFeatures, end * numFeatures);
  }
  return masked;
}
