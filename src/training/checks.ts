import { RillError } from '../errors.ts';
import { MIN_FEATURE_FRAMES, type ModelSizes } from '../model/sizes.ts';
import type { TrainingBatch } from './batch.ts';
import { isSpike, type Target } from './losses/loss.ts';
import type { BatchSize } from './operations.ts';

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
  largest: BatchSize,
  sizes: ModelSizes,
  { dropout, auxLayers }: { dropout: number; auxLayers: readonly number[] },
): void {
  checkShapes(batch, sizes);
  if (size.utterances > largest.utterances || size.frames > largest.frames) {
    throw unfit(
      `a batch of ${size.utterances} utterances of up to ${size.frames} encoder frames`,
      `at most ${largest.utterances} of ${largest.frames}`,
      'Make the network for larger batches, or split the batch.',
    );
  }
  const { draws } = batch;
  const hasCombine = draws !== undefined && ('seed' in draws || draws.combine !== undefined);
  if ((dropout > 0 && !draws) || (auxLayers.length > 0 && !hasCombine)) {
    throw unfit(
      'a batch without draws',
      'masks for dropout, and weights for RandomCombine',
      'Draw them for each batch, or make the network without dropout and auxiliary layers.',
    );
  }
}

function checkShapes({ features, lens, targets }: TrainingBatch, { encoder, vocabSize = 0 }: ModelSizes): void {
  if (lens.length === 0 || targets.length !== lens.length) {
    throw unfit(`${targets.length} targets for ${lens.length} utterances`, 'as many, one at least', 'Pair them anew.');
  }
  const frames = features.length / lens.length / encoder.numFeatures;
  const wrong = lens.find((len) => !(Number.isInteger(len) && len >= MIN_FEATURE_FRAMES && len <= frames));
  if (!Number.isInteger(frames) || wrong !== undefined) {
    throw unfit(
      wrong === undefined ? `${features.length} features` : `an utterance of ${wrong} feature frames, of ${frames}`,
      `(${lens.length}, T, ${encoder.numFeatures}), and ${MIN_FEATURE_FRAMES} to T frames of each`,
      'Leave out utterances that are too short, and pad the others to one length.',
    );
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
