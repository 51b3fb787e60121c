import { RillError } from '../errors.ts';
import { configuredFeatures, parseConfig, parseJson, type ModelConfig } from './config.ts';
import { readSafetensors } from './safetensors.ts';
import { inferSizes, type ModelSizes } from './sizes.ts';
import type { TensorSource } from './tensors.ts';
import { TokenTable } from './tokens.ts';

/** A model as it lies in its folder: sizes, options and weights, nothing on the GPU yet. */
export interface Model {
  /** Widths of the network and of its heads. */
  sizes: ModelSizes;
  /** What tensors cannot tell: blank, unknown token, features. */
  config: ModelConfig;
  /** @internal */
  weights: TensorSource;
  /** Absent for a lone encoder. */
  tokens?: TokenTable;
  /** The text of `keywords.txt`, if the folder has one. */
  keywords?: string;
}

/** The files of a model folder. */
export interface ModelFiles {
  /** Blank, features and the like, as JSON text. */
  'config.json': string;
  /** Weights, under icefall’s names. */
  'model.safetensors': Uint8Array;
  /** A token and its id a line; a lone encoder has none. */
  'tokens.txt'?: string;
  /** A keyword a line, as docs/keywords.md describes. */
  'keywords.txt'?: string;
}

/**
 * Puts a model together from the files of its folder and checks that they fit.
 *
 * @throws RillError `bad-model`.
 */
export function openModel(files: ModelFiles): Model {
  for (const [name, isRequired] of [
    ['config.json', true],
    ['tokens.txt', false],
    ['keywords.txt', false],
  ] as const) {
    const text: unknown = files[name];
    if (typeof text !== 'string' && (isRequired || text !== undefined)) {
      throw wrongFile(name, text, 'its text');
    }
  }
  const bytes: unknown = files['model.safetensors'];
  if (!(bytes instanceof Uint8Array)) {
    throw wrongFile('model.safetensors', bytes, 'its bytes in a Uint8Array');
  }
  const json = parseJson(files['config.json']);
  const weights = readSafetensors(bytes);
  const sizes = inferSizes('bad-model', weights.tensors, configuredFeatures(json));
  const tokens = files['tokens.txt'] === undefined ? undefined : TokenTable.parse(files['tokens.txt']);
  if (tokens && sizes.vocabSize !== undefined && tokens.size !== sizes.vocabSize) {
    throw new RillError('bad-model', {
      got: `tokens.txt with ${tokens.size} tokens`,
      expected: `${sizes.vocabSize}, as the model's output layer has`,
      remedy: 'Use the tokens.txt that belongs to the checkpoint.',
    });
  }
  const config = parseConfig(json, sizes, tokens);
  return {
    ...{ sizes, config, weights },
    tokens: config.phraseIds ? tokens?.withPhrases(config.phraseIds) : tokens,
    keywords: files['keywords.txt'],
  };
}

function wrongFile(name: string, got: unknown, expected: string): RillError {
  return new RillError('bad-model', {
    got: got === undefined ? `no ${name}` : `${name} as ${Object.prototype.toString.call(got)}`,
    expected,
    remedy: 'Read the files of the model folder: text in UTF-8, weights as bytes.',
  });
}
