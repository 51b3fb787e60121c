import { GpuContext } from '../gpu/context.ts';
import { fetchModel, type FetchOptions } from '../model/fetch.ts';
import type { Model } from '../model/model.ts';

/** How to come by a model and a GPU in one call. */
export interface LoadOptions extends FetchOptions {
  /** An open GPU device; a new one by default, which goes with what is loaded onto it. */
  device?: GpuContext | GPUDevice;
}

/** Devices that were handed in: each is listened to once. */
const contexts = new WeakMap<GPUDevice, GpuContext>();

function contextOf(device: GPUDevice): GpuContext {
  const context = contexts.get(device) ?? new GpuContext(device);
  contexts.set(device, context);
  if (context.buffers === 0) {
    // What others have done on the device since the last load has ended is not this one's.
    context.forgive();
  }
  return context;
}

/**
 * Fetches a model and opens a GPU side by side, then makes `create`'s object of both.
 *
 * @param source the address of a model folder, or a model that is there already
 */
export async function load<Loaded extends { dispose(): void }>(
  source: string | Model,
  { device, ...options }: LoadOptions,
  create: (context: GpuContext, model: Model) => Promise<Loaded>,
): Promise<{ loaded: Loaded; ownContext: GpuContext | undefined }> {
  const own = device === undefined;
  const opening = device instanceof GpuContext ? device : device ? contextOf(device) : GpuContext.create();
  const fetching = typeof source === 'string' ? fetchModel(source, options) : source;
  const [opened, fetched] = await Promise.allSettled([opening, fetching]);
  try {
    if (opened.status === 'rejected') {
      throw opened.reason;
    }
    if (fetched.status === 'rejected') {
      throw fetched.reason;
    }
    const loaded = await create(opened.value, fetched.value);
    if (options.signal?.aborted) {
      loaded.dispose();
      options.signal.throwIfAborted();
    }
    return { loaded, ownContext: own ? opened.value : undefined };
  } catch (error) {
    if (own && opened.status === 'fulfilled') {
      opened.value.dispose();
    }
    throw error;
  }
}
