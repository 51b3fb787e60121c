import { RillError } from '../errors.ts';
import { configuredFeatures, parseConfig, parseJson, type ModelConfig } from '../model/config.ts';
import type { ModelFiles } from '../model/model.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import { expectedTensors, inferSizes, type ModelSizes } from '../model/sizes.ts';
import { elementCount, requireFinite, type TensorSource } from '../model/tensors.ts';
import { TokenTable } from '../model/tokens.ts';
import { writeModel } from '../model/write.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import { blobSource, type ByteSource } from './bytes.ts';
import { foldScales, withNormEps } from './fold.ts';
import { openTensors, openTogether } from './open.ts';

/** What a checkpoint cannot tell, and what is to become of it. */
export interface ConvertOptions {
  /** The text of a `config.json` with what tensors cannot tell: feature options, blank id, mel bins. */
  config?: string;
  /** The text of `tokens.txt`; blank and unknown token are found in it by name where the config does not state them. */
  tokens?: string;
  /** The checkpoint that an already folded state dict came from: the BasicNorm eps are taken from it. */
  normEpsFrom?: Blob | ByteSource;
  /** Take the running average that icefall keeps in training checkpoints (`model_avg`). */
  useAveragedModel?: boolean;
  /** What to keep matrices as; `f32` by default. */
  dtype?: WeightDtype;
  /** Encoder layers to keep, counted from 0, in this order; all by default. For experiments with pruned models. */
  layers?: readonly number[];
  /** Called as the weights are written. */
  onWritten?: (loaded: number, total: number) => void;
}

type CheckpointFile = Blob | ByteSource;

const isList = (files: CheckpointFile | readonly CheckpointFile[]): files is readonly CheckpointFile[] =>
  Array.isArray(files);
const sourceOf = (file: CheckpointFile): ByteSource => (file instanceof Blob ? blobSource(file) : file);

/** A checkpoint that was opened and understood, its weights not read yet. */
export interface Checkpoint {
  /** What the file holds, names and types as they are. */
  stored: TensorSource;
  /** The network's own tensors under icefall's names, scales folded as they are read. */
  folded: TensorSource;
  sizes: ModelSizes;
  config: ModelConfig;
  tokens?: TokenTable;
  /** Tensors that inference does not use, under their full names. */
  ignored: readonly string[];
}

/**
 * Opens a checkpoint of the network, infers its sizes and checks that every tensor fits.
 *
 * @throws RillError `bad-checkpoint`, or `bad-model` for config and tokens.
 */
export async function openCheckpoint(
  source: Blob | ByteSource | readonly (Blob | ByteSource)[],
  { config = '{}', tokens: tokensText, normEpsFrom, useAveragedModel = false }: ConvertOptions = {},
): Promise<Checkpoint> {
  const sources = (isList(source) ? source : [source]).map(sourceOf);
  const stored = await openTogether(sources, { averaged: useAveragedModel });
  let folded = foldScales(stored);
  if (normEpsFrom) {
    folded = withNormEps(folded, foldScales(await openTensors(sourceOf(normEpsFrom))));
  }
  const json = parseJson(config);
  const sizes = inferSizes('bad-checkpoint', folded.tensors, configuredFeatures(json));
  const used = expectedTensors(sizes);
  checkElements(used, sources);
  const tokens = tokensText === undefined ? undefined : TokenTable.parse(tokensText);
  if (tokens && tokens.size !== sizes.vocabSize) {
    throw new RillError('bad-model', {
      got: `tokens.txt with ${tokens.size} tokens`,
      expected:
        sizes.vocabSize === undefined
          ? 'none, since this checkpoint has no head'
          : `${sizes.vocabSize}, as the checkpoint’s output layer has`,
      remedy: 'Use the tokens.txt that the model was trained with.',
    });
  }
  return {
    stored,
    folded,
    sizes,
    config: parseConfig(json, sizes, tokens),
    tokens,
    ignored: [...[...folded.tensors.keys()].filter((name) => !used.has(name)), ...folded.outside],
  };
}

/** Tensors can share their elements in a file, yet each is written out: no more than the files justify. */
function checkElements(tensors: ReadonlyMap<string, readonly number[]>, sources: readonly ByteSource[]): void {
  const elements = [...tensors.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  const bytes = sources.reduce((sum, { size }) => sum + size, 0);
  if (!(elements <= bytes)) {
    throw badCheckpoint(`weights of ${elements} elements in ${bytes} bytes`, 'no more elements than bytes');
  }
}

/** Sizes with these layers only, and which tensor of the whole model one of theirs is. */
function keepLayers(
  sizes: ModelSizes,
  layers: readonly number[] = Array.from({ length: sizes.encoder.numEncoderLayers }, (_, l) => l),
): { sizes: ModelSizes; storedName: (name: string) => string } {
  const { numEncoderLayers } = sizes.encoder;
  const missing = layers.find((layer) => !(Number.isInteger(layer) && layer >= 0 && layer < numEncoderLayers));
  if (layers.length === 0 || missing !== undefined) {
    throw new RillError('bad-argument', {
      got: missing === undefined ? 'no layers to keep' : `layer ${missing}`,
      expected: `some of 0 to ${numEncoderLayers - 1}`,
      remedy: 'Name the encoder layers that the model shall have.',
    });
  }
  return {
    sizes: { ...sizes, encoder: { ...sizes.encoder, numEncoderLayers: layers.length } },
    storedName: (name) => name.replace(/(?<=^encoder\.encoder\.layers\.)\d+/, (kept) => String(layers[Number(kept)])),
  };
}

/** What `convertCheckpoint` of the public entry does. */
export async function convertCheckpoint(
  source: Blob | ByteSource | readonly (Blob | ByteSource)[],
  options: ConvertOptions = {},
): Promise<ModelFiles> {
  const { folded, sizes: all, config, tokens } = await openCheckpoint(source, options);
  const { sizes, storedName } = keepLayers(all, options.layers);
  const weights: TensorSource = {
    tensors: folded.tensors,
    async read(name) {
      const values = await folded.read(storedName(name));
      requireFinite('bad-checkpoint', name, values);
      return values;
    },
  };
  return writeModel({ sizes, config, tokens, weights }, options);
}
