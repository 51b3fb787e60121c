import type { EncoderCapacity } from '../encoder/encoder.ts';
import type { HeadOptions, HeadOutput } from '../encoder/outputs.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from './device/context.ts';
import { loadHead } from './heads/heads.ts';
import { storageFor, type KernelChoice } from './methods.ts';
import { compileEncoder, type EncoderKernels } from './plan.ts';
import type { WorkspaceParts } from './slots.ts';
import { WeightLoader, loadEncoderWeights, type EncoderWeights } from './weights.ts';
import type { EncoderHead } from './workspace.ts';

/** Milliseconds from the start until the weights were uploaded, and until the kernels were compiled. */
export interface LoadingTimes {
  uploadMs: number;
  compileMs: number;
}

/** What a network is loaded from, and for what. */
export interface NetworkSource {
  context: GpuContext;
  model: Model;
  dtype: WeightDtype;
  capacity: Readonly<EncoderCapacity>;
  onTensor?: (name: string) => void;
  /** What goes wrong on the device is told to whoever loads, not to everybody on it. */
  ownErrors?: boolean;
}

/** A model by one choice of kernels: weights where these want them, the compiled kernels, and heads. */
export class Network implements WorkspaceParts {
  readonly context: GpuContext;
  readonly sizes: EncoderSizes;
  readonly choice: KernelChoice;
  readonly weights: EncoderWeights;
  readonly kernels: EncoderKernels;
  readonly heads: EncoderHead[] = [];
  /** What loading took: side by side. */
  readonly loading: Readonly<LoadingTimes>;
  readonly #source: NetworkSource;
  readonly #scope: BufferScope;

  private constructor(
    source: NetworkSource,
    scope: BufferScope,
    choice: KernelChoice,
    weights: EncoderWeights,
    kernels: EncoderKernels,
    loading: LoadingTimes,
  ) {
    this.context = source.context;
    this.sizes = source.model.sizes.encoder;
    this.choice = choice;
    this.weights = weights;
    this.kernels = kernels;
    this.loading = loading;
    this.#source = source;
    this.#scope = scope;
  }

  /**
   * @param weights that are read now; the model's by default
   * @throws RillError `bad-model`, `shader`, `gpu`, `device-lost`.
   */
  static async load(source: NetworkSource, choice: KernelChoice, weights = source.model.weights): Promise<Network> {
    const { context, model, dtype, capacity, onTensor, ownErrors } = source;
    const sizes = model.sizes.encoder;
    const scope = new BufferScope(context, { ownErrors });
    try {
      const loader = new WeightLoader(scope, weights, dtype, storageFor(choice), onTensor);
      const start = performance.now();
      // Kernels are compiled on threads of the device's own while the weights are packed on this one.
      const compiling = compileEncoder(context, sizes, dtype, choice, capacity);
      compiling.catch(() => undefined);
      const loaded = await loadEncoderWeights(loader, sizes);
      const uploadMs = performance.now() - start;
      const kernels = await compiling;
      const compileMs = performance.now() - start;
      await scope.settled();
      return new Network(source, scope, choice, loaded, kernels, { uploadMs, compileMs });
    } catch (error) {
      scope.dispose();
      throw error;
    }
  }

  /**
   * Loads a head where the kernels of this network want its weights.
   *
   * @param weights that are read now; the model's by default
   * @throws RillError `bad-model` when the model has no such head, `gpu`.
   */
  async loadHead(output: HeadOutput, options: HeadOptions, weights = this.#source.model.weights): Promise<EncoderHead> {
    const { context, dtype, capacity } = this.#source;
    const model = { ...this.#source.model, weights };
    const host = { context, scope: this.#scope, model, sizes: this.sizes, dtype, kernels: this.choice, capacity };
    const head = await loadHead(host, output, options);
    await this.#scope.settled();
    return head;
  }

  /** Frees its memory, also what has come since the last call. Steps that were submitted before still see it. */
  dispose(): void {
    this.#scope.dispose();
  }
}
