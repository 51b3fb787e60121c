import { RillError } from '../../errors.ts';
import type { ModelFiles } from '../../model/model.ts';
import type { TeachOptions } from './options.ts';

/**
 * Teaches a model a phrase from recordings of it, on the GPU.
 *
 * @returns a model folder's files
 * @throws RillError `bad-argument`, `bad-audio` for recordings that {@link checkTake} refuses, `bad-model`, `no-webgpu`,
 * `no-adapter`, `shader`, `gpu`; what the signal is aborted with.
 */
export function teachPhrase({ phrase }: TeachOptions): Promise<ModelFiles> {
  throw new RillError('internal', { got: phrase, expected: 'it to be written', remedy: 'Wait.' });
}
