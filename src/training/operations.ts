import type { MemoryPart } from '../encoder/engine.ts';
import type { BufferScope, GpuContext } from '../webgpu/device/context.ts';
import { Kernel, type KernelSource, type Resource, type Workgroups } from '../webgpu/device/kernel.ts';
import { partSizes, type ResourceNames, type SizeNames } from './kernel-sizes.ts';

/** How large a batch is. */
export interface BatchSize {
  utterances: number;
  /** Encoder frames of the longest. */
  frames: number;
}

/** How much there is room for in a batch. */
export interface Room extends BatchSize {
  /** Frames of all utterances, each padded to the longest; by default `utterances` of `frames`. Less where many are short. */
  rows?: number;
}

export const rowsOf = ({ utterances, frames, rows = utterances * frames }: Room) => rows;

/** The largest batch that there is room for. */
export interface Capacity extends Room {
  /** Tokens of the longest target. */
  labels: number;
}

/** One dispatch of a batch. */
export interface Operation {
  /** Of its kernel. */
  name: string;
  /** @param ordinal which frame or layer it is for, where the kernel asks */
  run(pass: GPUComputePassEncoder, size: BatchSize, ordinal?: number): void;
}

/** Runs operations in their order. @param ordinal of them all, where their kernels ask */
export function runAll(
  operations: readonly Operation[],
  pass: GPUComputePassEncoder,
  size: BatchSize,
  ordinal?: number,
): void {
  operations.forEach((each) => {
    each.run(pass, size, ordinal);
  });
}

/** Bytes from one place in a uniform buffer of ordinals to the next, by WebGPU's default limits. */
const ORDINAL_STRIDE = 256;

/** A uniform buffer. */
export const createUniform = (scope: BufferScope, part: MemoryPart, label: string, bytes: number): GPUBuffer =>
  scope.createBuffer(part, label, bytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);

/** The numbers from 0 on, each where {@link Operation.run} looks for it. */
export function createOrdinals(scope: BufferScope, part: MemoryPart, count: number): GPUBuffer {
  const words = ORDINAL_STRIDE / 4;
  const ordinals = new Uint32Array(words * count);
  for (let ordinal = 0; ordinal < count; ordinal++) {
    ordinals.fill(ordinal, words * ordinal, words * ordinal + 2);
  }
  const buffer = createUniform(scope, part, 'ordinals', ordinals.byteLength);
  scope.context.device.queue.writeBuffer(buffer, 0, ordinals);
  return buffer;
}

type Kernels = Map<string, Promise<Kernel<KernelSource>>>;

/** What was compiled for a device, kept for its next network: compiling takes as long as many steps. */
const compiled = new WeakMap<GpuContext, Kernels>();

/** Compiles kernels, those of the same overrides once for a device, and binds them. */
export class OperationMaker {
  readonly #scope: BufferScope;
  readonly #context: GpuContext;
  readonly #kernels: Kernels;
  /** Blocks of sizes, by their words. */
  readonly #sizes = new Map<string, GPUBuffer>();

  /** @param scope that the kernels' sizes live and die with */
  constructor(scope: BufferScope) {
    const { context } = scope;
    this.#scope = scope;
    this.#context = context;
    this.#kernels = compiled.get(context) ?? new Map<string, Promise<Kernel<KernelSource>>>();
    compiled.set(context, this.#kernels);
  }

  /** Whether a processor plays the GPU: few threads run at a time, and gain by large tiles. */
  get isSoftware(): boolean {
    return this.#context.isSoftware;
  }

  /** Whether kernels may share values within a subgroup, and gain by it. */
  get hasSubgroups(): boolean {
    return this.isSoftware && this.#context.device.features.has('subgroups');
  }

  /**
   * @param sizes its overrides, and what its block of sizes has
   * @param workgroups of a dispatch, for a batch
   * @throws RillError `shader`.
   */
  async make<Source extends KernelSource>(
    source: Source,
    sizes: Readonly<Record<SizeNames<Source>, number>>,
    resources: Readonly<Record<ResourceNames<Source>, Resource>>,
    workgroups: (size: BatchSize) => Workgroups,
  ): Promise<Operation> {
    const { overrides, words } = partSizes(source, sizes);
    const block = words && { sizes: this.#blockOf(words) };
    const key = JSON.stringify([source.name, source.files, overrides]);
    const compiling = this.#kernels.get(key) ?? Kernel.create<KernelSource>(this.#context, source, overrides);
    this.#kernels.set(key, compiling);
    // What failed is compiled anew when it is asked for again.
    compiling.catch(() => this.#kernels.delete(key));
    const kernel = (await compiling).bind({ ...resources, ...block });
    return {
      name: source.name,
      run(pass, size, ordinal = 0) {
        kernel.dispatch(pass, workgroups(size), ordinal * ORDINAL_STRIDE);
      },
    };
  }

  #blockOf(words: Uint32Array<ArrayBuffer>): GPUBuffer {
    const key = words.join();
    const known = this.#sizes.get(key);
    if (known) {
      return known;
    }
    const block = createUniform(this.#scope, 'activations', 'sizes', words.byteLength);
    this.#context.device.queue.writeBuffer(block, 0, words);
    this.#sizes.set(key, block);
    return block;
  }
}

/**
 * What some that are made side by side come to; compilers work on all of them at once, where they can. All have ended then, also
 * where one has failed: nothing is made any more behind the back of who frees it.
 */
export async function allEnded<const Made extends readonly unknown[]>(
  making: Made,
): Promise<{ -readonly [K in keyof Made]: Awaited<Made[K]> }> {
  await Promise.allSettled(making);
  return Promise.all(making);
}

const THREADS = 32;
const ROWS_PER_Y = 32768;
const MOST_GROUPS = 65535;

/** A workgroup for each row. */
export function byRow({ utterances, frames }: BatchSize): Workgroups {
  const rows = utterances * frames;
  return [Math.min(rows, ROWS_PER_Y), Math.ceil(rows / ROWS_PER_Y), 1];
}

/** A workgroup for each utterance. */
export const byUtterance = ({ utterances }: BatchSize): Workgroups => [utterances, 1, 1];

/** So many threads, one after the other, folded into y. */
export function byThread(threads: number): Workgroups {
  const groups = Math.ceil(threads / THREADS);
  return [Math.min(groups, MOST_GROUPS), Math.ceil(groups / MOST_GROUPS), 1];
}
