import type { WeightDtype } from './dtypes.ts';
import { writeConfig } from './config.ts';
import type { Model, ModelFiles } from './model.ts';
import { writeSafetensors } from './safetensors.ts';
import { expectedTensors } from './sizes.ts';

/** How a model's weights are written. */
export interface WriteOptions {
  /** What to keep matrices as; `f32` by default. */
  dtype?: WeightDtype;
  /** Called as the weights are written. */
  onWritten?: (loaded: number, total: number) => void;
}

/**
 * The files of a model's folder.
 *
 * @throws what reading its weights throws, `bad-model` for a value beyond the range of f16
 */
export async function writeModel(
  { sizes, config, tokens, keywords, weights }: Model,
  { dtype, onWritten }: WriteOptions = {},
): Promise<ModelFiles> {
  const tensors = [...expectedTensors(sizes)].map(([name, shape]) => ({ name, shape, read: () => weights.read(name) }));
  return {
    'config.json': writeConfig(config, sizes, tokens),
    'model.safetensors': await writeSafetensors(tensors, dtype, onWritten),
    ...(tokens && { 'tokens.txt': tokens.toString() }),
    ...(keywords !== undefined && { 'keywords.txt': keywords }),
  };
}
