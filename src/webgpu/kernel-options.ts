import type { KernelStore } from './device/kernel-store.ts';
import type { KernelChoice } from './methods.ts';

/** What an encoder on WebGPU can be told about its kernels. */
export interface KernelOptions {
  /**
   * @internal How the kernels that read weights work; the results are the same to the byte. `auto`, the default, is the
   * fastest on this adapter, as they were measured when a model of these sizes was loaded for the first time.
   */
  kernels?: KernelChoice | 'auto';
  /**
   * When `auto` measures, where it has to. `after`, the default: an encoder starts at once, and changes over when its
   * device has been idle for long enough. `before`: it is there when the fastest kernels are, after some seconds; for
   * measurements, and for work that leaves no idle moments.
   */
  rehearse?: 'after' | 'before';
  /**
   * Where the choice of kernels is kept from one start to the next; where the context keeps it by default, which is
   * browsers' cache storage, and in Node, with `openNodeEngine()`, the user's cache folder.
   */
  kernelStore?: KernelStore;
}
