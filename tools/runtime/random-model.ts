/** Networks of any size, made up on the spot. */
import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import type { Model } from '../../src/model/model.ts';
import { expectedTensors, type EncoderSizes } from '../../src/model/sizes.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { elementCount } from '../../src/model/tensors.ts';

/** Sizes of a network to make up. */
export type RandomSizes = Pick<EncoderSizes, 'dModel' | 'rnnHiddenSize' | 'dimFeedforward' | 'numEncoderLayers'>;

/** Deterministic numbers in [-1, 1): a benchmark should not depend on luck. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/**
 * A network of these sizes whose weights are made as they are read, the same each time, small enough for values to stay
 * finite.
 *
 * @param embedding other mel bins and channels than icefall's
 */
export function randomModel(
  random: RandomSizes,
  vocabSize = 500,
  embedding: Partial<Pick<EncoderSizes, 'numFeatures' | 'channels'>> = {},
): Model {
  const encoder: EncoderSizes = {
    numFeatures: FBANK_DEFAULTS.numMelBins,
    channels: [8, 32, 128],
    ...embedding,
    ...random,
    hasProjection: random.rnnHiddenSize !== random.dModel,
  };
  const sizes = { encoder, vocabSize, hasCtc: true };
  const tensors = new Map([...expectedTensors(sizes)].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
  return {
    sizes,
    config: { blankId: 0, features: { ...FBANK_DEFAULTS, numMelBins: encoder.numFeatures } },
    weights: {
      tensors,
      async read(name) {
        const shape = tensors.get(name)?.shape ?? [];
        const next = randomSource([...tensors.keys()].indexOf(name));
        const scale = 1 / Math.sqrt(elementCount(shape.slice(1)));
        return new Float32Array(elementCount(shape)).map(() => scale * next());
      },
    },
  };
}

/** A token table for such a network: the blank, then a character for each token. */
export function madeUpTokens(vocabSize: number): TokenTable {
  const symbols = Array.from({ length: vocabSize }, (_, id) =>
    id === 0 ? '<blk>' : String.fromCodePoint(0x4e00 + id),
  );
  return TokenTable.parse(symbols.map((symbol, id) => `${symbol} ${id}\n`).join(''));
}
