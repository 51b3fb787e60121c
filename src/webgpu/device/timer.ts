import { RillError } from '../../errors.ts';
import { BufferScope, type GpuContext } from './context.ts';
import { readBuffers } from './readback.ts';

/** Time of all dispatches of one kernel. */
export interface KernelTime {
  kernel: string;
  dispatches: number;
  /** Milliseconds on the GPU, summed. */
  ms: number;
}

/** WebGPU's limit for one query set, and a resolved query's bytes. */
const QUERIES_PER_SET = 4096;
const QUERY_BYTES = 8;

/** Times dispatches by timestamp queries: each runs in a compute pass of its own. Used once, for one command buffer. */
export class DispatchTimer {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #sets: GPUQuerySet[];
  readonly #resolved: GPUBuffer;
  readonly #kernels: string[] = [];

  /** @throws RillError `bad-argument` when the device was opened without timestamp queries. */
  constructor(context: GpuContext, maxDispatches: number) {
    const { device } = context;
    if (!device.features.has('timestamp-query')) {
      throw new RillError('bad-argument', {
        got: `a device without timestamp queries (${context.adapterName})`,
        expected: 'the feature timestamp-query',
        remedy: 'Create the context with optionalFeatures: ["timestamp-query"], on an adapter that has it.',
      });
    }
    this.#context = context;
    const queries = 2 * maxDispatches;
    this.#sets = Array.from({ length: Math.ceil(queries / QUERIES_PER_SET) }, (_, i) =>
      device.createQuerySet({ type: 'timestamp', count: Math.min(QUERIES_PER_SET, queries - i * QUERIES_PER_SET) }),
    );
    this.#scope = new BufferScope(context);
    const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
    this.#resolved = this.#scope.createBuffer('profile', 'timestamps', queries * QUERY_BYTES, usage);
  }

  /** What the pass of the next dispatch writes. */
  next(kernel: string): GPUComputePassTimestampWrites {
    const query = 2 * this.#kernels.length;
    this.#kernels.push(kernel);
    const at = query % QUERIES_PER_SET;
    return {
      querySet: this.#sets[Math.floor(query / QUERIES_PER_SET)],
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    };
  }

  /** Behind the last dispatch, in the same command buffer. */
  resolve(encoder: GPUCommandEncoder): void {
    const queries = 2 * this.#kernels.length;
    for (const [i, set] of this.#sets.entries()) {
      const first = i * QUERIES_PER_SET;
      if (first < queries) {
        const count = Math.min(QUERIES_PER_SET, queries - first);
        encoder.resolveQuerySet(set, 0, count, this.#resolved, first * QUERY_BYTES);
      }
    }
  }

  /** Each kernel's sum, in the order in which they first ran. */
  async read(): Promise<KernelTime[]> {
    const bytes = 2 * this.#kernels.length * QUERY_BYTES;
    const { buffer } = await readBuffers(this.#context, [{ buffer: this.#resolved, bytes }]);
    const nanoseconds = new BigUint64Array(buffer);
    const times = new Map<string, KernelTime>();
    for (const [i, kernel] of this.#kernels.entries()) {
      const { dispatches, ms } = times.get(kernel) ?? { dispatches: 0, ms: 0 };
      // Some drivers let a pass end before it begins; that counts as no time.
      const own = Math.max(0, Number(nanoseconds[2 * i + 1] - nanoseconds[2 * i])) / 1e6;
      times.set(kernel, { kernel, dispatches: dispatches + 1, ms: ms + own });
    }
    return [...times.values()];
  }

  dispose(): void {
    this.#scope.dispose();
    this.#sets.forEach((set) => {
      set.destroy();
    });
  }
}
