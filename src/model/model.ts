import { RillError } from '../errors.ts';
import { configuredFeatures, parseConfig, parseJson, type ModelConfig } from './config.ts';
import { readSafetensors } from './safetensors.ts';
import { inferSizes, type ModelSizes } from './sizes.ts';
import type { TensorSource } from './tensors.ts';
import { TokenTable } from './tokens.ts';

/** A model as it lies in its folder: sizes, options and weights, nothing on the GPU yet. */
export interface Model {
  sizes: ModelSizes;
  config: ModelConfig;
  weights: TensorSource;
  /** Absent for a lone encoder. */
  tokens?: TokenTable;
  /** The text of `keywords.txt`, if the folder has one. */
  keywords?: string;
}

/** The files of a model folder. */
export interface ModelFiles {
  'config.json': string;
  'model.safetensors': Uint8Array;
  'tokens.txt'?: string;
  'keywords.txt'?: string;
}

/**
 * Puts a model together from the files of its folder and checks that they fit.
 *
 * @throws RillError `bad-model`.
 */
export function openModel(files: ModelFiles): Model {
  const json = parseJson(files['config.json']);
  const weights = readSafetensors(files['model.safetensors']);
  const sizes = inferSizes('bad-model', weights.tensors, configuredFeatures(json));
  const config = parseConfig(json, sizes);
  const tokens = files['tokens.txt'] === undefined ? undefined : TokenTable.parse(files['tokens.txt']);
  if (tokens && sizes.vocabSize !== undefined && tokens.size !== sizes.vocabSize) {
    throw new RillError('bad-model', {
      got: `tokens.txt with ${tokens.size} tokens`,
      expected: `${sizes.vocabSize}, as the model's output layer has`,
      remedy: 'Use the tokens.txt that belongs to the checkpoint.',
    });
  }
  return { sizes, config, weights, tokens, keywords: files['keywords.txt'] };
}

/** Bytes loaded so far, of how many; the total is absent when the server does not state it. */
export type LoadProgress = (loaded: number, total: number | undefined) => void;

/**
 * Fetches a model folder: `config.json`, `model.safetensors`, and `tokens.txt` and `keywords.txt` if there are any.
 *
 * @param url of the folder
 * @throws RillError `bad-model` when a file is missing or does not fit.
 */
export async function fetchModel(url: string, progress?: LoadProgress): Promise<Model> {
  const base = url.endsWith('/') ? url : `${url}/`;
  const missing = (file: string, got: string) =>
    new RillError('bad-model', {
      got: `${got} for ${base}${file}`,
      expected: 'a model folder with config.json and model.safetensors',
      remedy: 'Check the address of the model folder.',
    });
  const request = async (file: string) => {
    try {
      return await fetch(base + file);
    } catch (cause) {
      throw missing(file, String(cause));
    }
  };
  const required = async (file: string) => {
    const response = await request(file);
    if (!response.ok) {
      throw missing(file, `status ${response.status}`);
    }
    return response;
  };
  const optionalText = async (file: string) => {
    const response = await request(file);
    // A development server answers a missing file with its index page.
    const isPage = response.headers.get('content-type')?.includes('text/html');
    return response.ok && !isPage ? response.text() : undefined;
  };
  const [config, weights, tokens, keywords] = await Promise.all([
    required('config.json').then((response) => response.text()),
    required('model.safetensors').then((response) =>
      readBody(response, progress).catch((cause: unknown) => {
        throw missing('model.safetensors', `a download that broke off (${String(cause)})`);
      }),
    ),
    optionalText('tokens.txt'),
    optionalText('keywords.txt'),
  ]);
  return openModel({
    'config.json': config,
    'model.safetensors': weights,
    'tokens.txt': tokens,
    'keywords.txt': keywords,
  });
}

async function readBody(response: Response, progress?: LoadProgress): Promise<Uint8Array> {
  const stated = Number(response.headers.get('content-length')) || undefined;
  if (!progress || !response.body) {
    return new Uint8Array(await response.arrayBuffer());
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body.getReader();
  let loaded = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    loaded += part.value.length;
    progress(loaded, stated);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
