import { openGpu } from '../../src/node/gpu.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { cacheStorage } from '../../src/webgpu/device/kernel-store.ts';
import { JOB_FEATURES } from './jobs.ts';

/** A GPU for tests and measurements: what earlier runs have chosen does not count, nor is anything kept. */
export function createNodeContext(): Promise<GpuContext> {
  return openGpu({ optionalFeatures: JOB_FEATURES, kernelStore: cacheStorage });
}
