import { RillError } from '../errors.ts';
import { MIN_FEATURE_FRAMES, type EncoderSizes, type ModelSizes } from '../model/sizes.ts';
import type { TrainingBatch } from './batch.ts';
import type { Draws } from './draws.ts';
import { isSpike, type Target } from './losses/targets.ts';
import { rowsOf, type BatchSize, type Room } from './operations.ts';
import type { Precision } from './precision.ts';
import type { ShapingOptions } from './shaping-options.ts';
import { BALANCERS } from './shaping.ts';

function unfit(got: string, expected: string, remedy: string): RillError {
  return new RillError('bad-argument', { got, expected, remedy });
}

/**
 * Refuses a batch that a network cannot take: what reads outside of it would be silent on the GPU.
 *
 * @param largest what the network was made for
 * @throws RillError `bad-argument`.
 */
export function checkBatch(
  batch: TrainingBatch,
  size: BatchSize,
  largest: Room,
  sizes: ModelSizes,
  options: { dropout: number; auxLayers: readonly number[]; from?: number; shaping?: ShapingOptions },
): void {
  const { dropout, auxLayers, from, shaping } = options;
  checkTargets(batch, sizes);
  checkInput(batch, size, sizes.encoder, from);
  checkRoom(size, largest);
  const { draws } = batch;
  if (draws && !('seed' in draws)) {
    checkDraws(draws, size, sizes.encoder, { dropout, auxLayers });
  }
  const has = (what: 'combine' | 'balancers') => draws !== undefined && ('seed' in draws || draws[what] !== undefined);
  if (
    (dropout > 0 && !draws) ||
    (auxLayers.length > 0 && !has('combine')) ||
    (shaping?.balancers && !has('balancers'))
  ) {
    throw unfit(
      'a batch without draws',
      'masks for dropout, weights for RandomCombine, and which balancers act',
      'Draw them for each batch, or make the network without dropout, auxiliary layers and balancers.',
    );
  }
}

/**
 * Refuses a batch that there is no room for.
 *
 * @throws RillError `bad-argument`.
 */
export function checkRoom(size: BatchSize, largest: Room): void {
  const isTooLarge =
    size.utterances > largest.utterances || size.frames > largest.frames || rowsOf(size) > rowsOf(largest);
  if (isTooLarge) {
    throw unfit(
      `a batch of ${size.utterances} utterances of up to ${size.frames} encoder frames`,
      `at most ${largest.utterances} of ${largest.frames}, and ${rowsOf(largest)} frames in all`,
      'Make the network for larger batches, or split the batch.',
    );
  }
}

/** How many numbers there are of something, and how many there have to be. */
type Count = readonly [name: string, got: number, expected: number];

/** Draws that are given are as many as the batch needs. */
function checkDraws(
  { alpha, layers, head, combine, balancers }: Draws,
  { utterances, frames }: BatchSize,
  { numEncoderLayers, dModel, dimFeedforward }: EncoderSizes,
  { dropout, auxLayers }: { dropout: number; auxLayers: readonly number[] },
): void {
  const rows = utterances * frames;
  const masks = layers.flatMap(({ lstm, ffInner, ff }, l): Count[] => [
    [`the LSTM's mask of layer ${l}`, lstm.length, rows * dModel],
    [`the inner mask of layer ${l}`, ffInner.length, rows * dimFeedforward],
    [`the feed-forward's mask of layer ${l}`, ff.length, rows * dModel],
  ]);
  const counts: Count[] = [['alpha', alpha.length, numEncoderLayers]];
  if (dropout > 0) {
    counts.push(['layers with masks', layers.length, numEncoderLayers], ...masks);
    counts.push(['the head’s mask', head.length, rows * dModel]);
  }
  if (auxLayers.length > 0 && combine) {
    counts.push(['weights of RandomCombine', combine.length, rows * auxLayers.length]);
  }
  if (balancers) {
    counts.push(['balancers', balancers.length, BALANCERS.count(numEncoderLayers)]);
  }
  const wrong = counts.find(([, got, expected]) => got !== expected);
  if (wrong) {
    const [name, got, expected] = wrong;
    throw unfit(
      `${name}: ${got} numbers`,
      `${expected}, for ${utterances} utterances of ${frames} encoder frames`,
      'Draw for this batch, and this network.',
    );
  }
}

/**
 * Refuses options that a network cannot be made with.
 *
 * @throws RillError `bad-argument`.
 */
export function checkOptions(
  { numEncoderLayers }: EncoderSizes,
  {
    dropout,
    layerDropout,
    auxLayers,
    from = 0,
    shaping,
    precision = 'f32',
  }: {
    dropout: number;
    layerDropout: number;
    auxLayers: readonly number[];
    from?: number;
    shaping?: ShapingOptions;
    precision?: Precision;
  },
): void {
  if (precision === 'f16' && shaping?.balancers) {
    throw unfit('balancers in f16', 'balancers in f32: they read what layers keep', 'Leave one of the two out.');
  }
  if (!(dropout >= 0 && dropout < 1 && layerDropout >= 0 && layerDropout <= 1)) {
    throw unfit(
      `dropout ${dropout}, layer dropout ${layerDropout}`,
      'probabilities: dropout below 1, layer dropout at most 1',
      'icefall has 0.1 and 0.075.',
    );
  }
  if (!(Number.isInteger(from) && from >= 0 && from < numEncoderLayers)) {
    throw unfit(`layer ${from} as the first`, `0 to ${numEncoderLayers - 1}`, 'Leave it out to begin with features.');
  }
  const isRising = auxLayers.every(
    (layer, i) => Number.isInteger(layer) && layer >= from && (i === 0 || layer > auxLayers[i - 1]),
  );
  const endsLast = auxLayers.length === 0 || auxLayers[auxLayers.length - 1] === numEncoderLayers - 1;
  if (!isRising || !endsLast) {
    throw unfit(
      `auxiliary layers ${auxLayers.join(', ')}`,
      `some of ${from} to ${numEncoderLayers - 1}, rising, the last among them`,
      'Leave them out for the last layer alone.',
    );
  }
}

/** A batch holds what the network begins with. */
function checkInput(
  { features, hidden, lens }: TrainingBatch,
  { utterances, frames }: BatchSize,
  sizes: EncoderSizes,
  from: number | undefined,
): void {
  if (from === undefined) {
    if (!features) {
      throw unfit('a batch without features', 'features', 'Make the network with `from` for hidden states.');
    }
    checkFeatures(features, lens, sizes);
    return;
  }
  const expected = utterances * frames * sizes.dModel;
  if (hidden?.length !== expected || utterances === 0 || frames < 1) {
    throw unfit(
      hidden ? `${hidden.length} hidden values` : 'a batch without hidden states',
      `(${utterances}, ${frames}, ${sizes.dModel}), the input of layer ${from}`,
      'Pad those of all utterances to the longest, or make the network without `from` for features.',
    );
  }
}

/**
 * Refuses features that do not fit their lengths.
 *
 * @throws RillError `bad-argument`.
 */
export function checkFeatures(features: Float32Array, lens: readonly number[], encoder: EncoderSizes): void {
  const frames = features.length / lens.length / encoder.numFeatures;
  const wrong = lens.find((len) => !(Number.isInteger(len) && len >= MIN_FEATURE_FRAMES && len <= frames));
  if (!Number.isInteger(frames) || wrong !== undefined) {
    throw unfit(
      wrong === undefined ? `${features.length} features` : `an utterance of ${wrong} feature frames, of ${frames}`,
      `(${lens.length}, T, ${encoder.numFeatures}), and ${MIN_FEATURE_FRAMES} to T frames of each`,
      'Leave out utterances that are too short, and pad the others to one length.',
    );
  }
}

function checkTargets({ lens, targets }: TrainingBatch, { vocabSize = 0 }: ModelSizes): void {
  if (lens.length === 0 || targets.length !== lens.length) {
    throw unfit(`${targets.length} targets for ${lens.length} utterances`, 'as many, one at least', 'Pair them anew.');
  }
  for (const [n, target] of targets.entries()) {
    const foreign = tokensOf(target).find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabSize));
    if (foreign !== undefined) {
      throw unfit(
        `token ${foreign} in target ${n}`,
        `0 to ${vocabSize - 1}`,
        'Encode the text with the model’s tokens.',
      );
    }
  }
}

const tokensOf = (target: Target): readonly number[] => (isSpike(target) ? [target.token] : target);
