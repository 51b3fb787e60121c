import type { EncoderOptions } from '../encoder/encoder.ts';
import type { Engine } from '../encoder/engine.ts';
import { engineFor, type EngineOptions } from '../engine.ts';
import { unlessAborted } from '../errors.ts';
import { fetchModel, type FetchOptions } from '../model/fetch.ts';
import type { Model } from '../model/model.ts';
import type { Listener } from './listener.ts';
import { LoadProgress } from './load-progress.ts';

/** How to come by a model and a device in one call. */
export interface LoadOptions extends FetchOptions, EngineOptions {}

/**
 * Fetches a model and opens a device side by side, then makes `create`'s object of both.
 *
 * @param source the address of a model folder, or a model that is there already
 * @param create is to call `onTensor` as its encoder loads tensors
 */
export async function load<Loaded extends Listener>(
  source: string | Model,
  options: LoadOptions & Pick<EncoderOptions, 'onTensor'>,
  create: (engine: Engine, model: Model, onTensor: (tensor: string) => void) => Promise<Loaded>,
): Promise<Loaded> {
  const progress = new LoadProgress(typeof source === 'string' ? source : 'model', options.onProgress);
  const fetching =
    typeof source === 'string' ? fetchModel(source, { ...options, onProgress: progress.onFetch }) : source;
  const [opened, fetched] = await Promise.allSettled([engineFor(options), fetching]);
  try {
    if (opened.status === 'rejected') {
      throw opened.reason;
    }
    if (fetched.status === 'rejected') {
      throw fetched.reason;
    }
    options.signal?.throwIfAborted();
    const { engine, isOwn } = opened.value;
    const tellTensor = progress.onTensor(fetched.value);
    const creating = create(engine, fetched.value, (tensor) => {
      options.onTensor?.(tensor);
      tellTensor(engine);
    });
    const loaded = await unlessAborted(creating, options.signal, (late) => {
      late.dispose();
    });
    progress.ready();
    return isOwn ? loaded.ownEngine() : loaded;
  } catch (error) {
    if (opened.status === 'fulfilled' && opened.value.isOwn) {
      opened.value.engine.dispose();
    }
    throw error;
  }
}
