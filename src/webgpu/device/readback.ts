import { RillError } from '../../errors.ts';
import { BufferScope, type GpuContext } from './context.ts';

/** Room for the tokens of a step of many streams: only what is rarer lets a buffer grow while streams run. */
const LEAST_BYTES = 16384;

/** A place in the ring: one step's results at a time. */
export interface ReadbackPlace {
  buffer?: GPUBuffer;
}

/**
 * A ring of places that results come back through. A step waits its turn when all are in flight. A place has a
 * buffer that grows when a step reads more than any before it, and the free ones grow with it.
 */
export class ReadbackRing {
  readonly #scope: BufferScope;
  readonly #free: ReadbackPlace[];
  readonly #waiting: ((place: ReadbackPlace) => void)[] = [];

  constructor(context: GpuContext, count: number) {
    this.#scope = new BufferScope(context);
    this.#free = Array.from({ length: count }, () => ({}));
  }

  /**
   * A buffer of at least `bytes` for a place that was acquired.
   *
   * @throws RillError `bad-argument` when the device has none as large.
   */
  reserve(place: ReadbackPlace, bytes: number): GPUBuffer {
    if (place.buffer && place.buffer.size >= bytes) {
      return place.buffer;
    }
    const { maxBufferSize } = this.#scope.context.device.limits;
    if (bytes > maxBufferSize) {
      throw new RillError('bad-argument', {
        got: `${bytes} bytes of outputs to read back from a step`,
        expected: `at most ${maxBufferSize}, the largest buffer of this device`,
        remedy: 'Read fewer outputs, or advance fewer streams in a step.',
      });
    }
    const size = Math.max(bytes, Math.min(Math.max(LEAST_BYTES, 2 * (place.buffer?.size ?? 0)), maxBufferSize));
    for (const each of this.#free) {
      if ((each.buffer?.size ?? 0) < size) {
        this.#resize(each, size);
      }
    }
    return this.#resize(place, size);
  }

  #resize(place: ReadbackPlace, size: number): GPUBuffer {
    if (place.buffer) {
      this.#scope.release(place.buffer);
    }
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return (place.buffer = this.#scope.createBuffer('readback', 'readback', size, usage));
  }

  /** The next free place, first come, first served: at once when there is one. */
  acquire(): ReadbackPlace | Promise<ReadbackPlace> {
    return this.#free.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(place: ReadbackPlace): void {
    const next = this.#waiting.shift();
    if (next) {
      next(place);
    } else {
      this.#free.push(place);
    }
  }

  /**
   * Maps the first `bytes` of a place's buffer and copies them out.
   *
   * @param failures of the context before the commands that wrote them
   * @throws RillError `device-lost`, `gpu` or `closed`.
   */
  async read(place: ReadbackPlace, bytes: number, failures: number): Promise<Float32Array<ArrayBuffer>> {
    try {
      return await readMapped(this.#scope.context, this.reserve(place, bytes), bytes, failures);
    } catch (cause) {
      throw await this.#scope.context.explain(cause);
    }
  }

  dispose(): void {
    this.#scope.dispose();
  }
}

/** A part of a buffer. */
interface BufferPart {
  buffer: GPUBuffer;
  offset?: number;
  bytes: number;
}

/** What lies on the GPU, and what it is once it was read. */
export interface Pending<Value> {
  part: BufferPart;
  of: (read: Float32Array<ArrayBuffer>) => Value;
}

/** Reads two in one go. @throws RillError as {@link readBuffers} does. */
export async function readBoth<First, Second>(
  context: GpuContext,
  first: Pending<First>,
  second: Pending<Second>,
): Promise<[First, Second]> {
  const read = await readBuffers(context, [first.part, second.part]);
  const floats = first.part.bytes / 4;
  return [first.of(read.slice(0, floats)), second.of(read.slice(floats))];
}

/**
 * Reads parts of buffers back, one after the other, outside of any ring: for what is asked for rarely. They are read
 * as they are at the time of the call.
 *
 * @throws RillError `device-lost`, `gpu` or `closed`.
 */
export async function readBuffers(
  context: GpuContext,
  parts: readonly BufferPart[],
): Promise<Float32Array<ArrayBuffer>> {
  const scope = new BufferScope(context);
  try {
    const { failures } = context;
    const total = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const target = scope.createBuffer('readback', 'readback', total, usage);
    const encoder = context.device.createCommandEncoder();
    let at = 0;
    for (const { buffer, offset = 0, bytes } of parts) {
      encoder.copyBufferToBuffer(buffer, offset, target, at, bytes);
      at += bytes;
    }
    context.device.queue.submit([encoder.finish()]);
    return await readMapped(context, target, total, failures);
  } catch (cause) {
    throw await context.explain(cause);
  } finally {
    scope.dispose();
  }
}

/** The first `bytes` of a buffer, copied out. */
async function readMapped(
  context: GpuContext,
  buffer: GPUBuffer,
  bytes: number,
  failures: number,
): Promise<Float32Array<ArrayBuffer>> {
  await context.until(buffer.mapAsync(GPUMapMode.READ, 0, bytes));
  try {
    // Commands that the device refused leave in the buffer what was there before.
    context.checkSince(failures);
    return new Float32Array(buffer.getMappedRange(0, bytes).slice(0));
  } finally {
    buffer.unmap();
  }
}
