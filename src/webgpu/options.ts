import { resolveCapacity } from '../encoder/checks.ts';
import type { EncoderCapacity, EncoderOptions } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { bytesPerLane, bytesPerSlot } from './buffers.ts';
import type { GpuContext } from './device/context.ts';
import type { KernelOptions } from './kernel-options.ts';
import { CONV_METHOD_NAMES, ableMethods } from './methods.ts';
import { startingKernels, type Occasion, type StartingKernels } from './tuning/choice.ts';
import { measuredKernels } from './tuning/measured.ts';

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

/** @throws RillError `bad-argument` for kernels that the device cannot run, and another time to rehearse. */
export async function resolveKernels(
  occasion: Occasion,
  { kernels: wanted = 'auto', rehearse = 'after' }: KernelOptions,
): Promise<StartingKernels> {
  const { context, model, dtype } = occasion;
  if (rehearse !== 'after' && rehearse !== 'before') {
    throw new RillError('bad-argument', {
      got: `rehearse: ${JSON.stringify(rehearse)}`,
      expected: 'after or before',
      remedy: 'Leave it out to start at once.',
    });
  }
  const able = ableMethods(context, model.sizes, dtype);
  if (wanted === 'auto') {
    const measured = measuredKernels(context.adapter, dtype);
    return measured && able.includes(measured.matrices)
      ? { kernels: measured, isSettled: true }
      : startingKernels(occasion);
  }
  const { convolutions, matrices } = wanted;
  if (!able.includes(matrices) || !able.includes(convolutions) || !CONV_METHOD_NAMES.includes(convolutions)) {
    throw new RillError('bad-argument', {
      got: `kernels: ${JSON.stringify(wanted)}`,
      expected: `auto, or { convolutions: ${CONV_METHOD_NAMES.join(' or ')}, matrices } of ${able.join(', ')}, for this model on this device`,
      remedy: 'Leave it out to take the fastest.',
    });
  }
  return { kernels: wanted, isSettled: true };
}
