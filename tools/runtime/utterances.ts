/** Any number of utterances, in batches that an encoder takes; and what was heard in one. */
import type { Decoder } from '../../src/decoder/decoder.ts';
import { stacked } from '../../src/waveform/arrays.ts';
import type { Model } from '../../src/model/model.ts';

/** Some utterances of like length, padded. */
export interface UtteranceBatch {
  /** Which of the utterances these are, by lane. */
  members: number[];
  /** (lanes, feature frames, num_features) */
  features: Float32Array<ArrayBuffer>;
  /** Feature frames of each. */
  lengths: number[];
}

/**
 * The longest first: a batch that does not fit fails at once, and padding is least.
 *
 * @param utterances features of each, (frames, num_features)
 * @param size utterances side by side
 */
export function* batchesOf(
  utterances: readonly Float32Array[],
  size: number,
  numFeatures: number,
): Generator<UtteranceBatch> {
  const order = utterances.map((_, n) => n).sort((a, b) => utterances[b].length - utterances[a].length);
  for (let first = 0; first < order.length; first += size) {
    const members = order.slice(first, first + size);
    const features = stacked(members.map((n) => utterances[n]));
    yield { members, features, lengths: members.map((n) => utterances[n].length / numFeatures) };
  }
}

/** The text of a decoder's tokens; their ids where the model has no table of them. */
export function heardText({ tokens: table }: Model, { tokens }: Decoder): string {
  const ids = tokens.map(({ id }) => id);
  return table?.text(ids) ?? ids.join(' ');
}
