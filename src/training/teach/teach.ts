import { openEngine as openDefaultEngine } from '../../engine.ts';
import { RillError } from '../../errors.ts';
import type { ModelFiles } from '../../model/model.ts';
import { writeModel } from '../../model/write.ts';
import { Lesson } from './lesson.ts';
import { prepareMaterials } from './materials.ts';
import type { TeachOptions } from './options.ts';
import { phraseText, requireTeachable, withPhraseOdds, withPhraseToken } from './phrase-token.ts';
import { DEFAULT_STEPS, POOL, PRIOR_CORRECTION } from './recipe.ts';

/**
 * Teaches a model a phrase from recordings of it, on the GPU, or on the CPU where there is none. The phrase becomes one token of the CTC head; the last two layers and
 * that head are trained, and decoder and joiner are left out. All weights are written as float32.
 *
 * @returns a model folder's files
 * @throws RillError `bad-argument`, `bad-audio` for recordings that {@link checkTake} refuses, `bad-model`, `no-wasm`,
 * `no-memory`, `shader`, `gpu`, `device-lost` for a device that is lost again and again; what the signal is aborted with.
 */
export async function teachPhrase(options: TeachOptions): Promise<ModelFiles> {
  const { seed = 0, steps = DEFAULT_STEPS, counts = POOL, onProgress, signal } = options;
  const { engine, openEngine = () => openDefaultEngine() } = options;
  signal?.throwIfAborted();
  checkNumbers({ seed, steps });
  const before = requireTeachable(options.model);
  // Of phrases that were taught before the odds are those of training, too.
  const model = await withPhraseToken(await withPhraseOdds(before, PRIOR_CORRECTION), phraseText(options.phrase));
  const materials = prepareMaterials(model, before.tokens, options);
  const lesson = new Lesson(model, materials, { seed, steps, counts, engine, openEngine, onProgress, signal });
  return writeModel(await withPhraseOdds(await lesson.learn(), 1 / PRIOR_CORRECTION));
}

function checkNumbers({ seed, steps }: { seed: number; steps: number }): void {
  if (!(Number.isSafeInteger(seed) && seed >= 0 && Number.isSafeInteger(steps) && steps >= 1)) {
    throw new RillError('bad-argument', {
      got: `seed ${seed}, ${steps} steps`,
      expected: 'a seed from 0 to 2^53 - 1, and at least one step',
      remedy: 'Leave them out for 0 and 400.',
    });
  }
}
