import { BufferScope, type GpuContext } from './context.ts';

/**
 * A ring of buffers that results come back through. Made once; a step waits its turn when all are in flight.
 */
export class ReadbackRing {
  readonly #scope: BufferScope;
  readonly #free: GPUBuffer[];
  readonly #waiting: ((buffer: GPUBuffer) => void)[] = [];

  constructor(context: GpuContext, bytes: number, count: number) {
    this.#scope = new BufferScope(context);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    this.#free = Array.from({ length: count }, (_, i) =>
      this.#scope.createBuffer('readback', `readback ${i}`, bytes, usage),
    );
  }

  /** The next free buffer, first come, first served. */
  acquire(): Promise<GPUBuffer> {
    const buffer = this.#free.shift();
    return buffer ? Promise.resolve(buffer) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(buffer: GPUBuffer): void {
    const next = this.#waiting.shift();
    if (next) {
      next(buffer);
    } else {
      this.#free.push(buffer);
    }
  }

  /**
   * Maps the first `bytes` of a buffer, copies them out and releases it.
   *
   * @throws RillError `device-lost`, `gpu` or `closed`.
   */
  async read(buffer: GPUBuffer, bytes: number): Promise<Float32Array<ArrayBuffer>> {
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, bytes);
      const copy = new Float32Array(buffer.getMappedRange(0, bytes).slice(0));
      buffer.unmap();
      return copy;
    } catch (cause) {
      throw await this.#scope.context.explain(cause);
    } finally {
      this.release(buffer);
    }
  }

  dispose(): void {
    this.#scope.dispose();
  }
}
