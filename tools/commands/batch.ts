import { requireFiniteFeatures } from '../../src/encoder/checks.ts';
import { RillError } from '../../src/errors.ts';
import { shapeText } from '../../src/model/tensors.ts';
import { readInput } from '../files.ts';
import { readNpy } from '../npy.ts';

/** The option of commands over features that may be padded. */
export const LENS_OPTION = {
  type: 'string',
  value: 'FILE',
  help: 'a .npy file with the feature frames of each utterance',
  otherwise: 'all of them',
} as const;

export const loadNpy = async (path: string) => readNpy(await readInput(path), path);

/** Features as (utterances, frames, width), and the feature frames of each. */
export async function readBatch(path: string, lensPath: string | undefined) {
  const { shape, data } = await loadNpy(path);
  if (shape.length !== 2 && shape.length !== 3) {
    throw new RillError('bad-argument', {
      got: `${path} of shape ${shapeText(shape)}`,
      expected: '(T, F) or (N, T, F)',
      remedy: 'Make features with rill features.',
    });
  }
  const [utterances, frames] = shape.length === 2 ? [1, shape[0]] : shape;
  const lens = lensPath ? await loadNpy(lensPath) : undefined;
  if (lens && lens.data.length !== utterances) {
    throw new RillError('bad-argument', {
      got: `${lensPath} with ${lens.data.length} lengths`,
      expected: `${utterances}, one for each utterance`,
      remedy: 'Give the number of feature frames of each utterance.',
    });
  }
  const lengths = lens ? [...lens.data] : Array<number>(utterances).fill(frames);
  const featureWidth = shape[shape.length - 1];
  // Told before a GPU is opened. Numbers behind an utterance's end may be anything.
  for (const [i, length] of lengths.entries()) {
    const start = i * frames * featureWidth;
    const own = data.subarray(start, start + Math.min(frames, length) * featureWidth);
    requireFiniteFeatures(`utterance ${i} of ${path}`, own, featureWidth);
  }
  return { features: data, featureWidth, utterances, lengths };
}
