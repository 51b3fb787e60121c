import { CONV_METHOD_NAMES, ableMethods, type KernelChoice } from './methods.ts';
import { RillError } from '../errors.ts';
import { resolveCapacity } from '../encoder/checks.ts';
import type { EncoderCapacity, EncoderOptions } from '../encoder/encoder.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import type { GpuContext } from './device/context.ts';
import type { KernelStore } from './device/kernel-store.ts';
import { bytesPerLane, bytesPerSlot } from './buffers.ts';
import { measuredKernels } from './tuning/measured.ts';
import { chooseKernels } from './tuning/tuning.ts';

/** What an encoder on WebGPU can be told about its kernels. */
export interface KernelOptions {
  /**
   * How the kernels that read weights work; the results are the same to the byte. `auto`, the default, is the fastest on
   * this adapter, measured when a model of these sizes is loaded for the first time.
   */
  kernels?: KernelChoice | 'auto';
  /**
   * Where the choice of kernels is kept from one start to the next; where the context keeps it by default, which is
   * browsers' cache storage, and in Node, after `openGpu()`, the user's cache folder.
   */
  kernelStore?: KernelStore;
}

/** An encoder's capacity on a device: its largest buffer must hold the states of all streams, and a step's lanes. */
export function capacityOn(context: GpuContext, sizes: EncoderSizes, options: EncoderOptions): EncoderCapacity {
  const largest = context.largestBinding;
  // A row of workgroups covers four rows at the least where there are so many.
  const mostRows = 4 * context.device.limits.maxComputeWorkgroupsPerDimension;
  return resolveCapacity(options, {
    streams: Math.floor(largest / bytesPerSlot(sizes)),
    lanes: (maxFrames) => Math.min(largest / bytesPerLane(sizes, maxFrames), mostRows / maxFrames),
  });
}

/** @throws RillError `bad-argument` for kernels that the device cannot run; as `chooseKernels`. */
export async function resolveKernels(
  context: GpuContext,
  model: Model,
  dtype: WeightDtype,
  capacity: EncoderCapacity,
  { kernels: wanted = 'auto', kernelStore }: KernelOptions,
): Promise<KernelChoice> {
  const able = ableMethods(context, model.sizes, dtype);
  if (wanted === 'auto') {
    const measured = measuredKernels(context.adapter, dtype);
    return measured && able.includes(measured.matrices)
      ? measured
      : chooseKernels(context, model, dtype, capacity, kernelStore);
  }
  const { convolutions, matrices } = wanted;
  if (!able.includes(matrices) || !able.includes(convolutions) || !CONV_METHOD_NAMES.includes(convolutions)) {
    throw new RillError('bad-argument', {
      got: `kernels: ${JSON.stringify(wanted)}`,
      expected: `auto, or { convolutions: ${CONV_METHOD_NAMES.join(' or ')}, matrices } of ${able.join(', ')}, for this model on this device`,
      remedy: 'Leave it out to take the fastest.',
    });
  }
  return wanted;
}
