import { RillError, shown } from '../errors.ts';
import { FBANK_DEFAULTS } from '../features/fbank.ts';
import { configuredFeatures, parseConfig, parseJson, writeConfig } from '../model/config.ts';
import type { ModelFiles } from '../model/model.ts';
import { writeSafetensors } from '../model/safetensors.ts';
import { expectedTensors, type ModelSizes } from '../model/sizes.ts';
import { elementCount } from '../model/tensors.ts';
import { TokenTable } from '../model/tokens.ts';
import { SITES } from './draws.ts';
import { CTC_HEAD } from './layout.ts';
import type { Head } from './losses/targets.ts';
import { normals, seedKey, unit, wordsAt } from './philox.ts';

/** What a model from scratch is for. */
export interface InitialOptions {
  /** What its weights are drawn by: a whole number from 0 to 2^53 - 1. */
  seed: number;
  /** The text of `tokens.txt`. */
  tokens: string;
  /** The text of a `config.json` with what sizes cannot tell: feature options, blank id. icefall's by default. */
  config?: string;
  /** Its heads; `ctc` alone by default. */
  heads?: readonly Head[];
}

/** A model from scratch. */
export interface InitialModel {
  /** Its folder, scales folded in: what plain training starts from. */
  files: ModelFiles;
  /** The log-scales of its tensors by their names: what scaled training starts with, too. */
  scales: ReadonlyMap<string, number>;
}

/** Bounds of stored weights: uniform, of standard deviation 0.1. */
const STDDEV = 0.1;
const LIMIT = Math.sqrt(3) * STDDEV;
/** Of the logarithms of eps, and of the second matrix of a feed-forward, which is smaller at first. */
const QUARTER = Math.log(0.25);
const MAX_LAYERS = 100;
const MAX_WIDTH = 4096;

/**
 * Sizes of a network by its layers and its width, such as `6x256` or `12x512`: icefall's, whose cells are twice as wide, and
 * feed-forwards four times.
 *
 * @throws RillError `bad-argument`.
 */
export function sizesOf(name: string, numFeatures = FBANK_DEFAULTS.numMelBins): ModelSizes['encoder'] {
  const [, layers, width] = (/^(\d+)x(\d+)$/.exec(name) ?? []).map(Number);
  if (!(layers >= 1 && layers <= MAX_LAYERS && width >= 1 && width <= MAX_WIDTH)) {
    throw new RillError('bad-argument', {
      got: `a network of ${shown(name)}`,
      expected: `layers and width, such as 6x256: at most ${MAX_LAYERS} layers, ${MAX_WIDTH} wide`,
      remedy: 'Take 6x256, 12x512 or 18x768.',
    });
  }
  return {
    ...{ numFeatures, channels: [8, 32, 128], dModel: width, rnnHiddenSize: 2 * width, hasProjection: true },
    ...{ dimFeedforward: 4 * width, numEncoderLayers: layers },
  };
}

/**
 * A model from scratch, with icefall's random weights; unlike icefall's its layers are not copies of one.
 *
 * @param name its layers and its width, such as `6x256`
 * @throws RillError `bad-argument` for sizes or a seed that are none, `bad-model` for config or tokens.
 */
export async function initialModel(
  name: string,
  { seed, tokens, config = '{}', heads = ['ctc'] }: InitialOptions,
): Promise<InitialModel> {
  checkSeed(seed);
  const json = parseJson(config);
  const table = TokenTable.parse(tokens);
  const encoder = sizesOf(name, configuredFeatures(json));
  const sizes: ModelSizes = {
    ...{ encoder, vocabSize: table.size, hasCtc: heads.includes('ctc') },
    ...(heads.includes('transducer') && {
      transducer: { decoderDim: encoder.dModel, contextSize: 2, joinerDim: encoder.dModel },
    }),
  };
  const scales = new Map<string, number>();
  const weights = [...expectedTensors(sizes)].map(([tensor, shape], index) => {
    const { scale, values } = initial(tensor, shape, encoder);
    if (scale !== undefined) {
      scales.set(tensor, scale);
    }
    const read = () => Promise.resolve(drawn(values, elementCount(shape), seed, index));
    return { name: tensor, shape, read };
  });
  return {
    files: {
      'config.json': writeConfig(parseConfig(json, sizes, table), sizes, table),
      'model.safetensors': await writeSafetensors(weights),
      'tokens.txt': table.toString(),
    },
    scales,
  };
}

/** What a tensor's elements are: one number, uniform up to a limit, or normal. */
type Values = { constant: number } | { limit: number } | { stddev: number };

/** A tensor at the start: its log-scale, if it has one, and its elements, scale folded in. */
interface Initial {
  scale?: number;
  values: Values;
}

function initial(name: string, shape: readonly number[], { dModel, rnnHiddenSize }: ModelSizes['encoder']): Initial {
  if (name.endsWith('.eps')) {
    return { values: { constant: QUARTER } };
  }
  if (name.startsWith(CTC_HEAD)) {
    // PyTorch's own linear layer, without scales.
    return { values: { limit: dModel ** -0.5 } };
  }
  const isSmaller = name.includes('feed_forward.4.');
  if (name.includes('bias')) {
    return { scale: isSmaller ? QUARTER : 0, values: { constant: 0 } };
  }
  if (name.endsWith('embedding.weight')) {
    return { scale: Math.log(1 / STDDEV), values: { stddev: 1 } };
  }
  const fanIn = name.includes('.lstm.') ? rnnHiddenSize : elementCount(shape.slice(1));
  const scale = Math.log(fanIn ** -0.5 / STDDEV) + (isSmaller ? QUARTER : 0);
  return { scale, values: { limit: LIMIT * Math.exp(scale) } };
}

/** Elements by Philox: four of them are the words of a block, the tensor its frame. */
function drawn(values: Values, count: number, seed: number, tensor: number): Float32Array<ArrayBuffer> {
  if ('constant' in values) {
    return new Float32Array(count).fill(values.constant);
  }
  const key = seedKey(seed);
  const coordinates = { site: SITES.initialWeights, utterance: 0, frame: tensor, microStep: 0 };
  const elements = new Float32Array(count);
  for (let k = 0; k < count; k += 4) {
    const [a, b, c, d] = wordsAt(key, coordinates, k >> 2);
    const four =
      'limit' in values
        ? [a, b, c, d].map((word) => values.limit * (2 * unit(word) - 1))
        : [...normals(a, b), ...normals(c, d)].map((normal) => values.stddev * normal);
    elements.set(four.slice(0, count - k), k);
  }
  return elements;
}

function checkSeed(seed: number): void {
  if (!(Number.isSafeInteger(seed) && seed >= 0)) {
    throw new RillError('bad-argument', {
      got: `seed ${seed}`,
      expected: 'a whole number from 0 to 2^53 - 1',
      remedy: 'Take any such number; the same gives the same weights.',
    });
  }
}
