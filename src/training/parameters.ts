import { RillError } from '../errors.ts';
import { elementCount, readFinite, type TensorSource } from '../model/tensors.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import { pack, unpack, type Layout } from './layout.ts';

/** A tensor that is trained, or that training reads. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  layout: Layout;
  value: GPUBuffer;
  gradient: GPUBuffer;
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
   * @throws RillError `bad-model` for weights that are not numbers.
   */
  static async load(
    context: GpuContext,
    weights: TensorSource,
    layouts: ReadonlyMap<string, Layout>,
  ): Promise<Parameters> {
    const loaded = new Parameters(context);
    try {
      for (const [name, layout] of layouts) {
        const shape = weights.tensors.get(name)?.shape ?? [];
        loaded.#add(name, shape, layout, await readFinite(weights, name));
      }
      return loaded;
    } catch (error) {
      loaded.dispose();
      throw error;
    }
  }

  #add(name: string, shape: readonly number[], layout: Layout, values: Float32Array): void {
    const bytes = 4 * layout.length;
    const value = this.#scope.createStorage('weights', name, bytes);
    this.#context.device.queue.writeBuffer(value, 0, pack(layout, values));
    const gradient = this.#scope.createStorage('gradients', `gradient of ${name}`, bytes);
    this.#parameters.set(name, { name, shape, layout, value, gradient });
  }

  /** All of them, in the network's order. */
  get all(): readonly Parameter[] {
    return [...this.#parameters.values()];
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

  /** Gradients as they are now, by name, in C order. */
  gradients(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return this.#read(({ gradient }) => gradient);
  }

  async #read(bufferOf: (parameter: Parameter) => GPUBuffer): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const { all } = this;
    const parts = all.map((parameter) => ({ buffer: bufferOf(parameter), bytes: 4 * parameter.layout.length }));
    const packed = await readBuffers(this.#context, parts);
    let at = 0;
    return new Map(
      all.map(({ name, shape, layout }) => {
        const own = packed.subarray(at, (at += layout.length));
        return [name, unpack(layout, own, elementCount(shape))];
      }),
    );
  }

  /** Frees their memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}
