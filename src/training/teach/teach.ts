import { openEngine as openDefaultEngine } from '../../engine.ts';
import type { ModelFiles } from '../../model/model.ts';
import { writeModel } from '../../model/write.ts';
import { Lesson } from './lesson.ts';
import { prepareMaterials } from './materials.ts';
import type { TeachOptions } from './options.ts';
import { phraseText, requireTeachable, withPhraseToken } from './phrase-token.ts';
import { DEFAULT_STEPS } from './recipe.ts';

/**
 * Teaches a model a phrase from recordings of it, on the GPU. The phrase becomes one token of the CTC head; the last two layers and
 * that head are trained, and decoder and joiner are left out. All weights are written as float32.
 *
 * @returns a model folder's files
 * @throws RillError `bad-argument`, `bad-audio` for recordings that {@link checkTake} refuses, `bad-model`, `no-webgpu`,
 * `no-adapter`, `shader`, `gpu`, `device-lost` for a device that is lost again and again; what the signal is aborted with.
 */
export async function teachPhrase(options: TeachOptions): Promise<ModelFiles> {
  const { seed = 0, steps = DEFAULT_STEPS, onProgress, signal } = options;
  const { openEngine = () => openDefaultEngine({ device: 'webgpu' }) } = options;
  signal?.throwIfAborted();
  const before = requireTeachable(options.model);
  const model = await withPhraseToken(before, phraseText(options.phrase));
  const materials = prepareMaterials(model, before.tokens, options);
  const lesson = new Lesson(model, materials, { seed, steps, openEngine, onProgress, signal });
  return writeModel(await lesson.learn());
}
