import type { MemoryPart } from '../../encoder/engine.ts';
import { RillError } from '../../errors.ts';
import { contained, gpuFailure } from './contained.ts';
import { IdleTime } from './idle.ts';
import { cacheStorage, type KernelStore } from './kernel-store.ts';

/** What is known of the adapter that a device came from. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** Whether it is a processor that plays a GPU. */
  isFallbackAdapter: boolean;
  /** The fewest invocations that run as one, where it is told. */
  subgroupMinSize?: number;
}

export interface ContextOptions {
  /** Features to ask for where the adapter has them, beside those that kernels make use of: `timestamp-query`. */
  optionalFeatures?: readonly GPUFeatureName[];
  /** Where choices of kernels are kept from one start to the next; browsers' cache storage by default. */
  kernelStore?: KernelStore;
}

/**
 * Firefox looks for finished work every 100 ms only, or when something is submitted (bugzilla.mozilla.org, 1870699).
 * Waits are shortened there by submitting nothing now and then: from 100 ms to 4 ms for a small kernel and its readback.
 * To be deleted when that bug is closed.
 */
const NUDGE_MS = 3;
/** A device that takes longer than this to answer an empty submit, at the best of a few attempts, reports late. */
const LATE_MS = 20;
const ATTEMPTS = 3;

/** Features that some kernels need; others do without. */
const KERNEL_FEATURES: readonly GPUFeatureName[] = ['subgroups'];

/**
 * A GPU device with its health. Everything on the GPU is created through a context; losses and uncaptured
 * errors are recorded here when they happen and raised by {@link check} where somebody can catch them.
 */
export class GpuContext {
  readonly device: GPUDevice;
  /** Where the device came from; held, because Dawn ends the process when it is collected before its devices. */
  readonly gpu: GPU | undefined;
  /** Whether waiting for results keeps the thread busy: not in a browser, but in Node's `webgpu`, which is handed in. */
  readonly polls: boolean;
  readonly adapter: AdapterDescription;
  /** Resolves with the cause when the device is lost, unless it was disposed of. */
  readonly lost: Promise<string>;
  /** Where choices of kernels are kept, unless an encoder has a place of its own. */
  readonly kernelStore: KernelStore;
  /** @internal Loading and steps of all encoders, and what waits for them. */
  readonly idle = new IdleTime();
  readonly #memory = new Map<MemoryPart, number>();
  #resources = 0;
  /** What went wrong and nobody has been told yet. */
  #failure: RillError | undefined;
  /** The last error that the device has reported, and how many there were. */
  #lastFailure: RillError | undefined;
  #failures = 0;
  #closed = false;
  #late = false;
  #probing: Promise<void> | undefined;
  #nearestSampler: GPUSampler | undefined;

  /** @param adapter what the device tells of its adapter by default, where it does */
  constructor(
    device: GPUDevice,
    adapter: Partial<AdapterDescription> = device.adapterInfo ?? {},
    gpu?: GPU,
    kernelStore: KernelStore = cacheStorage,
  ) {
    this.device = device;
    this.gpu = gpu;
    this.kernelStore = kernelStore;
    this.polls = gpu !== undefined && gpu !== globalThis.navigator?.gpu;
    const { vendor = '', architecture = '', device: name = '', description = '', isFallbackAdapter = false } = adapter;
    const { subgroupMinSize } = adapter;
    this.adapter = { vendor, architecture, device: name, description, isFallbackAdapter, subgroupMinSize };
    this.lost = new Promise((resolve) => {
      void device.lost.then(({ reason, message }) => {
        if (!this.#closed) {
          const cause = `${reason}${message ? `: ${message}` : ''}`;
          this.#failure = new RillError('device-lost', {
            got: `a lost GPU device (${cause})`,
            expected: 'a device that stays',
            remedy: 'Create a new device and load the model again; the streams on this one are gone.',
          });
          resolve(cause);
        }
      });
    });
    device.addEventListener('uncapturederror', ({ error }) => {
      this.#failures++;
      this.#lastFailure = gpuFailure(error);
      this.#failure ??= this.#lastFailure;
    });
  }

  /**
   * Finds an adapter and opens a device with the default limits.
   *
   * @param gpu `navigator.gpu`, or another implementation such as the npm package `webgpu`.
   * @throws RillError `no-webgpu` or `no-adapter`.
   */
  static async create(
    gpu: GPU | undefined = globalThis.navigator?.gpu,
    { optionalFeatures = [], kernelStore }: ContextOptions = {},
  ): Promise<GpuContext> {
    const { adapter } = await findAdapter(gpu);
    const wanted = new Set([...KERNEL_FEATURES, ...optionalFeatures]);
    const requiredFeatures = [...wanted].filter((name) => adapter.features.has(name));
    const device = await adapter.requestDevice({ requiredFeatures }).catch((cause: unknown) => {
      throw new RillError(
        'no-adapter',
        {
          got: `an adapter that gives no device (${String(cause)})`,
          expected: 'a GPU device with the default limits',
          remedy: 'Close other pages that use the GPU, restart the browser, or update the driver.',
        },
        { cause },
      );
    });
    const context = new GpuContext(device, adapter.info, gpu, kernelStore);
    await context.reportsLate();
    return context;
  }

  /** Bytes of the GPU buffers and textures that exist, by what they are for. */
  get memory(): ReadonlyMap<MemoryPart, number> {
    return this.#memory;
  }

  /** GPU buffers and textures that exist. */
  get resources(): number {
    return this.#resources;
  }

  /** @internal So many buffers or textures more, or fewer, with so many bytes. */
  account(part: MemoryPart, count: number, bytes: number): void {
    this.#resources += count;
    this.#memory.set(part, (this.#memory.get(part) ?? 0) + bytes);
  }

  /** The adapter in one line, for people. */
  get adapterName(): string {
    return nameOf(this.adapter);
  }

  /**
   * Whether this device reports finished work late, as Firefox does. Found out once; {@link until} makes up for it from
   * then on.
   */
  async reportsLate(): Promise<boolean> {
    await (this.#probing ??= this.#probe());
    return this.#late;
  }

  async #probe(): Promise<void> {
    if (this.polls) {
      return;
    }
    const { queue } = this.device;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const start = performance.now();
      queue.submit([]);
      // A lost device is told by what comes next.
      await queue.onSubmittedWorkDone().catch(() => undefined);
      if (performance.now() - start < LATE_MS) {
        return;
      }
    }
    this.#late = true;
  }

  /** Waits for what the queue is to tell: finished work, or a mapped buffer. */
  async until<Told>(told: Promise<Told>): Promise<Told> {
    return this.#late ? nudged(this.device, told) : told;
  }

  /** Whether the adapter is a processor that plays a GPU, as far as it is told. */
  get isSoftware(): boolean {
    return this.adapter.isFallbackAdapter || isSoftware(Object.values(this.adapter).join(' '));
  }

  /** What reads the texel nearest to a place, of those there are: what a sampler does by default. */
  get nearestSampler(): GPUSampler {
    return (this.#nearestSampler ??= this.device.createSampler());
  }

  /** Texels that a texture can have on a side. */
  get largestTexture(): number {
    return this.device.limits.maxTextureDimension2D;
  }

  /** Bytes that one binding can hold. */
  get largestBinding(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    return Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /**
   * Raises what went wrong on the device since the last call.
   *
   * @throws RillError `device-lost`, `gpu` or `closed`.
   */
  check(): void {
    if (this.#closed) {
      throw new RillError('closed', {
        got: 'a GPU context that was disposed of',
        expected: 'an open one',
        remedy: 'Create a new one.',
      });
    }
    const failure = this.#failure;
    if (failure?.code !== 'device-lost') {
      this.#failure = undefined;
    }
    if (failure) {
      throw failure;
    }
  }

  /** How many errors the device has reported so far, for {@link checkSince}. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Raises what went wrong since there were so many {@link failures}, also when somebody else was told of it: an error does
   * not say whose it is, so that all who were at work then get it.
   *
   * @throws RillError `device-lost`, `gpu` or `closed`.
   */
  checkSince(failures: number): void {
    this.check();
    if (this.#failures > failures && this.#lastFailure) {
      throw this.#lastFailure;
    }
  }

  /** Drops what went wrong since the last {@link check}; a lost device stays lost. */
  forgive(): void {
    if (this.#failure?.code !== 'device-lost') {
      this.#failure = undefined;
    }
  }

  /** Why an operation on the device was rejected; the notice of a lost device may come a turn later. */
  async explain(cause: unknown): Promise<RillError> {
    if (cause instanceof RillError) {
      return cause;
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    try {
      this.check();
    } catch (error) {
      if (error instanceof RillError) {
        return error;
      }
    }
    return new RillError(
      'gpu',
      {
        got: `a rejected GPU operation (${String(cause)})`,
        expected: 'a result',
        remedy: 'Load the model again; if it recurs, report it.',
      },
      { cause },
    );
  }

  /** Gives the device back. Whatever was made on it can no longer be used. */
  dispose(): void {
    this.#closed = true;
    this.device.destroy();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** An adapter, and what is known of it before a device is opened. */
export interface FoundAdapter {
  adapter: GPUAdapter;
  name: string;
  /** Whether it is a processor that plays a GPU. */
  isSoftware: boolean;
}

/**
 * Asks for an adapter.
 *
 * @param gpu `navigator.gpu` by default
 * @throws RillError `no-webgpu` or `no-adapter`.
 */
export async function findAdapter(gpu: GPU | undefined = globalThis.navigator?.gpu): Promise<FoundAdapter> {
  if (!gpu) {
    throw new RillError('no-webgpu', {
      got: 'no navigator.gpu',
      expected: 'WebGPU',
      remedy:
        'Use Chrome or Edge 116, Safari 26 or Firefox 141 and later, over https or localhost; in Node pass `device: await openNodeEngine()`, of `rill-asr/node`.',
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new RillError('no-adapter', {
      got: 'WebGPU without an adapter',
      expected: 'a GPU or a software adapter',
      remedy: 'Turn on graphics acceleration, update the driver, or install a software Vulkan driver.',
    });
  }
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const words = [vendor, architecture, device, description].join(' ');
  return { adapter, name: nameOf(adapter.info), isSoftware: isFallbackAdapter || isSoftware(words) };
}

/** Whether an adapter's description is that of a software driver. */
export function isSoftware(description: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|basic render/i.test(description);
}

/** An adapter in one line, for people. */
function nameOf({ vendor, architecture, device, description }: Omit<AdapterDescription, 'isFallbackAdapter'>): string {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unknown adapter';
}

/** Waits for what a device that reports late is to tell, and lets it look every few milliseconds. */
export async function nudged<Told>({ queue }: GPUDevice, told: Promise<Told>): Promise<Told> {
  const nudging = setInterval(() => {
    queue.submit([]);
  }, NUDGE_MS);
  try {
    return await told;
  } finally {
    clearInterval(nudging);
  }
}

/** Buffers and textures that live and die together, counted by part in {@link GpuContext.memory}. */
export class BufferScope {
  readonly context: GpuContext;
  readonly #parts = new Map<GPUBuffer | GPUTexture, { part: MemoryPart; bytes: number }>();
  readonly #ownErrors: boolean;
  readonly #errors: Promise<GPUError | undefined>[] = [];

  /** @param ownErrors the device's errors in {@link make} are told by {@link settled}, to nobody else */
  constructor(context: GpuContext, { ownErrors = false } = {}) {
    this.context = context;
    this.#ownErrors = ownErrors;
  }

  /** Creates something in the scope and writes to it, at once. */
  make<Made>(create: () => Made): Made {
    if (!this.#ownErrors) {
      return create();
    }
    const { made, error } = contained(this.context.device, create);
    this.#errors.push(error);
    return made;
  }

  /** Resolves when it is known that all went well. @throws RillError `gpu` */
  async settled(): Promise<void> {
    const error = (await Promise.all(this.#errors.splice(0))).find((each) => each !== undefined);
    if (error) {
      throw gpuFailure(error);
    }
  }

  /**
   * A zeroed storage buffer that can be written, copied from and copied to.
   *
   * @throws RillError `bad-argument` when one binding cannot hold it.
   */
  createStorage(part: MemoryPart, label: string, bytes: number): GPUBuffer {
    const limit = this.context.largestBinding;
    if (bytes > limit) {
      throw new RillError('bad-argument', {
        got: `${label} of ${bytes} bytes`,
        expected: `at most ${limit} bytes in one buffer of this device`,
        remedy: 'Use fewer streams, or fewer frames per step.',
      });
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return this.createBuffer(part, label, bytes, usage);
  }

  /** A buffer of any usage; at least 16 bytes, so that any binding fits. */
  createBuffer(part: MemoryPart, label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    return this.#keep(part, size, this.context.device.createBuffer({ label, size, usage }));
  }

  /**
   * A texture that kernels read, `bytes` in all.
   *
   * @throws RillError `bad-argument` when the device has none as large.
   */
  createTexture(
    part: MemoryPart,
    label: string,
    bytes: number,
    format: GPUTextureFormat,
    [width, height]: readonly [width: number, height: number],
  ): GPUTexture {
    const limit = this.context.largestTexture;
    if (Math.max(width, height) > limit) {
      throw new RillError('bad-argument', {
        got: `${label} in a texture of ${width} x ${height} texels`,
        expected: `at most ${limit} on a side on this device`,
        remedy: 'Set the option `kernels` to plain ones, which keep weights in buffers.',
      });
    }
    const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST;
    return this.#keep(part, bytes, this.context.device.createTexture({ label, size: [width, height], format, usage }));
  }

  /** Bytes of all of the scope. */
  get bytes(): number {
    return [...this.#parts.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Destroys one of them. Steps that were submitted before still see it. */
  release(resource: GPUBuffer | GPUTexture): void {
    const kept = this.#parts.get(resource);
    if (kept) {
      this.#parts.delete(resource);
      this.context.account(kept.part, -1, -kept.bytes);
      resource.destroy();
    }
  }

  /** Destroys all of the scope. */
  dispose(): void {
    for (const resource of [...this.#parts.keys()]) {
      this.release(resource);
    }
  }

  #keep<Resource extends GPUBuffer | GPUTexture>(part: MemoryPart, bytes: number, resource: Resource): Resource {
    this.#parts.set(resource, { part, bytes });
    this.context.account(part, 1, bytes);
    return resource;
  }
}
