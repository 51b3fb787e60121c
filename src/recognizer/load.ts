import { RillError, unlessAborted } from '../errors.ts';
import { GpuContext } from '../gpu/context.ts';
import { fetchModel, type FetchOptions } from '../model/fetch.ts';
import type { Model } from '../model/model.ts';

/** How to come by a model and a GPU in one call. */
export interface LoadOptions extends FetchOptions {
  /**
   * An open GPU device; a new one by default, which goes with what is loaded onto it. In Node what
   * `openGpu()` of `rill/node` gives.
   */
  device?: GpuContext | GPUDevice;
}

/** Devices that were handed in: each is listened to once. */
const contexts = new WeakMap<GPUDevice, GpuContext>();

function contextOf(device: GpuContext | GPUDevice): GpuContext {
  if (device instanceof GpuContext) {
    return device;
  }
  // Whatever is handed in by plain JavaScript, and contexts of another copy of the library.
  if (typeof (device as Partial<GPUDevice> | null)?.createComputePipelineAsync !== 'function') {
    throw new RillError('bad-argument', {
      got: `a device that is ${Object.prototype.toString.call(device)}`,
      expected: 'a GPUDevice, or a GpuContext of this copy of rill',
      remedy: 'In Node make one with openGpu(), of rill/node.',
    });
  }
  const context = contexts.get(device) ?? new GpuContext(device);
  contexts.set(device, context);
  if (context.resources === 0) {
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
  const opening = device === undefined ? GpuContext.create() : contextOf(device);
  const fetching = typeof source === 'string' ? fetchModel(source, options) : source;
  const [opened, fetched] = await Promise.allSettled([opening, fetching]);
  try {
    if (opened.status === 'rejected') {
      throw opened.reason;
    }
    if (fetched.status === 'rejected') {
      throw fetched.reason;
    }
    options.signal?.throwIfAborted();
    const loaded = await unlessAborted(create(opened.value, fetched.value), options.signal, (late) => {
      late.dispose();
    });
    return { loaded, ownContext: own ? opened.value : undefined };
  } catch (error) {
    if (own && opened.status === 'fulfilled') {
      opened.value.dispose();
    }
    throw error;
  }
}
