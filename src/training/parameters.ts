import { RillError } from '../errors.ts';
import { elementCount, readFinite, withTensors, type TensorSource } from '../model/tensors.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import { pack, unpack, type Layout } from './layout.ts';

/** A tensor that is trained, or that training reads. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  layout: Layout;
  value: GPUBuffer;
  /** The same as a texture, for the products of a software adapter. */
  texture?: GPUTexture;
  /** Absent for a tensor that is not trained. */
  gradient?: GPUBuffer;
}

/** A tensor that is trained. */
export type TrainedParameter = Parameter & Required<Pick<Parameter, 'gradient'>>;

/** Whether a tensor is trained. @param prefixes of those that are, under icefall's names; all by default */
export const isTrained = (name: string, prefixes: readonly string[] = ['']) =>
  // A buffer in icefall, not a parameter.
  !name.endsWith('out_norm.eps') && prefixes.some((prefix) => name.startsWith(prefix));

/** Floats of one readback: half of the smallest of the largest buffers that WebGPU's devices have. */
const READBACK_FLOATS = 32 << 20;

/** Parameters in parts that can be read at once, one at least in each. */
function inReadbacks<Of extends Parameter>(parameters: readonly Of[]): Of[][] {
  const parts: Of[][] = [];
  let floats = Infinity;
  for (const parameter of parameters) {
    floats += parameter.layout.length;
    if (floats > READBACK_FLOATS) {
      parts.push([]);
      floats = parameter.layout.length;
    }
    parts[parts.length - 1].push(parameter);
  }
  return parts;
}

/** Of rgba32float. */
const TEXEL_BYTES = 16;
/** Rows of what is copied to a texture are multiples of this, by WebGPU's rules. */
const ROW_ALIGNMENT = 256;

function copyToTextures(encoder: GPUCommandEncoder, parameters: readonly Parameter[]): void {
  for (const { value, texture } of parameters) {
    if (texture) {
      const bytesPerRow = TEXEL_BYTES * texture.width;
      encoder.copyBufferToTexture({ buffer: value, bytesPerRow }, { texture }, [texture.width, texture.height]);
    }
  }
}

/** The network's tensors on the GPU, each with its gradient. */
export class Parameters {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #parameters = new Map<string, Parameter>();

  private constructor(context: GpuContext) {
    this.#context = context;
    this.#scope = new BufferScope(context);
  }

  /**
   * @param layouts of those to load, by their names
   * @param trainable prefixes of the names of tensors that are trained; all by default
   * @throws RillError `bad-model` for weights that are not numbers, `bad-argument` for what is too large.
   */
  static async load(
    context: GpuContext,
    weights: TensorSource,
    layouts: ReadonlyMap<string, Layout>,
    trainable?: readonly string[],
  ): Promise<Parameters> {
    const loaded = new Parameters(context);
    try {
      for (const [name, layout] of layouts) {
        const shape = weights.tensors.get(name)?.shape ?? [];
        loaded.#add(name, shape, layout, await readFinite(weights, name), isTrained(name, trainable));
      }
      const encoder = context.device.createCommandEncoder();
      copyToTextures(encoder, loaded.all);
      context.device.queue.submit([encoder.finish()]);
      return loaded;
    } catch (error) {
      loaded.dispose();
      throw error;
    }
  }

  #add(name: string, shape: readonly number[], layout: Layout, values: Float32Array, isTrained: boolean): void {
    const bytes = 4 * layout.length;
    const value = this.#scope.createStorage('weights', name, bytes);
    this.#context.device.queue.writeBuffer(value, 0, pack(layout, values));
    const gradient = isTrained ? this.#scope.createStorage('gradients', `gradient of ${name}`, bytes) : undefined;
    const texture = this.#createTexture(name, layout);
    this.#parameters.set(name, { name, shape, layout, value, texture, gradient });
  }

  /** A texture for a matrix, where one is of use and rows are as long as copies have to be. */
  #createTexture(name: string, { length, rowVec4s }: Layout): GPUTexture | undefined {
    if (rowVec4s === undefined || (TEXEL_BYTES * rowVec4s) % ROW_ALIGNMENT > 0 || !this.#context.isSoftware) {
      return undefined;
    }
    const size = [rowVec4s, length / 4 / rowVec4s] as const;
    return Math.max(...size) <= this.#context.largestTexture
      ? this.#scope.createTexture('weights', name, 4 * length, 'rgba32float', size)
      : undefined;
  }

  /** Takes what is trained, as it is now, into the textures that products read. */
  copyToTextures(encoder: GPUCommandEncoder): void {
    copyToTextures(encoder, this.trained);
  }

  /** All of them, in the network's order. */
  get all(): readonly Parameter[] {
    return [...this.#parameters.values()];
  }

  /** Those that are trained, in the network's order. */
  get trained(): readonly TrainedParameter[] {
    return this.all.filter((each): each is TrainedParameter => each.gradient !== undefined);
  }

  /** One of them by icefall's name. */
  of(name: string): Parameter {
    const parameter = this.#parameters.get(name);
    if (!parameter) {
      throw new RillError('internal', {
        got: `no parameter ${name}`,
        expected: [...this.#parameters.keys()].join(', '),
        remedy: 'Please report this.',
      });
    }
    return parameter;
  }

  /** Gradients of those that are trained, as they are now, by name, in C order. */
  gradients(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return this.read(this.trained, ({ gradient }) => gradient);
  }

  /** All tensors as they are now, by name, in C order. */
  values(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return this.read(this.all, ({ value }) => value);
  }

  /**
   * A model's weights with those that are trained in their place.
   *
   * @param values of them, by name: such as a running average; by default as they are now
   */
  async into(weights: TensorSource, values?: ReadonlyMap<string, Float32Array<ArrayBuffer>>): Promise<TensorSource> {
    const now = values ?? (await this.read(this.trained, ({ value }) => value));
    const changed = this.trained.map(
      ({ name, shape }) => [name, { shape, values: now.get(name) ?? new Float32Array(0) }] as const,
    );
    return withTensors(weights, new Map(changed));
  }

  /** What lies on the GPU as some parameters do, by name, in C order. */
  async read<Of extends Parameter>(
    parameters: readonly Of[],
    bufferOf: (parameter: Of) => GPUBuffer,
  ): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const read = new Map<string, Float32Array<ArrayBuffer>>();
    for (const some of inReadbacks(parameters)) {
      const parts = some.map((each) => ({ buffer: bufferOf(each), bytes: 4 * each.layout.length }));
      const packed = await readBuffers(this.#context, parts);
      let at = 0;
      for (const { name, shape, layout } of some) {
        const own = packed.subarray(at, (at += layout.length));
        read.set(name, unpack(layout, own, elementCount(shape)));
      }
    }
    return read;
  }

  /**
   * Takes other values for those that are trained.
   *
   * @throws RillError `bad-model` for weights that are not numbers.
   */
  async write(weights: TensorSource): Promise<void> {
    for (const { name, layout, value } of this.trained) {
      this.#context.device.queue.writeBuffer(value, 0, pack(layout, await readFinite(weights, name)));
    }
  }

  /** Frees their memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}
