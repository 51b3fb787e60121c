import type { Model } from '../model/model.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import { padded } from '../webgpu/weights.ts';
import { createActivations, longestFrames, type Activations } from './activations.ts';
import { checkFeatures, checkRoom } from './checks.ts';
import { planEmbedding, type EmbeddingPlan } from './embedding.ts';
import { byUtterance, spreadFeatures } from './inputs.ts';
import { planForward, runForward, type ForwardPlan } from './layer.ts';
import { encoderLayouts } from './layout.ts';
import { OperationMaker, createOrdinals, createUniform, runAll, type Room } from './operations.ts';
import { Parameters } from './parameters.ts';

/** Features of some utterances. */
export interface FeatureBatch {
  /** (N, T, num_features), utterance by utterance; what pads is not read. */
  features: Float32Array;
  /** Feature frames of each. */
  lens: readonly number[];
}

/**
 * The embedding and the first layers of a network, forwards as they are when they are not trained: what a network that is
 * trained from a layer on (`from`) takes in.
 */
export class Trunk {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #model: Model;
  readonly #capacity: Room;
  readonly #parameters: Parameters;
  readonly #activations: Activations;
  readonly #step: GPUBuffer;
  readonly #at: GPUBuffer;
  #embedding!: EmbeddingPlan;
  #layers: readonly ForwardPlan[] = [];

  private constructor(context: GpuContext, model: Model, parameters: Parameters, capacity: Room) {
    this.#context = context;
    this.#model = model;
    this.#capacity = capacity;
    this.#parameters = parameters;
    const scope = (this.#scope = new BufferScope(context, { ownErrors: true }));
    const { encoder } = model.sizes;
    const layers = encoder.numEncoderLayers;
    const keeping = { lowest: layers, recompute: false, hasDropout: false, combined: 0 };
    const storage = (label: string, floats: number) => scope.createStorage('activations', label, 4 * floats);
    this.#activations = scope.make(() => createActivations(storage, encoder, capacity, keeping));
    this.#step = createUniform(scope, 'activations', 'step', 16);
    this.#at = createOrdinals(scope, 'activations', Math.max(capacity.frames, layers + 1));
  }

  /**
   * Loads the embedding and the first layers.
   *
   * @param capacity the largest batch: utterances, and encoder frames of the longest
   * @param layers how many; 0 for the embedding alone
   * @throws RillError `bad-model`, `bad-argument` for what is too large, `shader`, `gpu` for what there is no memory for.
   */
  static async create(context: GpuContext, model: Model, capacity: Room, layers: number): Promise<Trunk> {
    const layouts = encoderLayouts(model.sizes.encoder, { end: layers });
    const parameters = await Parameters.load(context, model.weights, layouts, []);
    let trunk: Trunk | undefined;
    try {
      trunk = new Trunk(context, model, parameters, capacity);
      await trunk.#compile(layers);
      return trunk;
    } catch (error) {
      (trunk ?? parameters).dispose();
      throw error;
    }
  }

  async #compile(layers: number): Promise<void> {
    await this.#scope.settled();
    const parts = {
      ...{ maker: new OperationMaker(this.#context), sizes: this.#model.sizes.encoder },
      ...{ parameters: this.#parameters, activations: this.#activations },
      ...{ step: this.#step, at: this.#at, dropout: 0 },
    };
    [this.#embedding, this.#layers] = await Promise.all([
      planEmbedding(parts),
      Promise.all(Array.from({ length: layers }, (_, layer) => planForward(parts, layer))),
    ]);
  }

  /**
   * What comes out of the last of the layers.
   *
   * @returns (T'_n, d_model) of each utterance
   * @throws RillError `bad-argument` for a batch that is too large, `device-lost`, `gpu`.
   */
  async run({ features, lens }: FeatureBatch): Promise<Float32Array<ArrayBuffer>[]> {
    const { encoder } = this.#model.sizes;
    const size = { utterances: lens.length, frames: longestFrames(lens) };
    checkFeatures(features, lens, encoder);
    checkRoom(size, this.#capacity);
    const { queue } = this.#context.device;
    const { alpha, layers, out } = this.#activations;
    queue.writeBuffer(this.#step, 0, Uint32Array.of(size.utterances, size.frames));
    queue.writeBuffer(alpha, 0, new Float32Array(encoder.numEncoderLayers + 1).fill(1));
    queue.writeBuffer(this.#activations.features, 0, spreadFeatures(features, lens, encoder.numFeatures, size));
    const commands = this.#context.device.createCommandEncoder();
    const pass = commands.beginComputePass();
    runAll(this.#embedding.operations, pass, size);
    this.#embedding.norm.run(pass, size, encoder.numEncoderLayers);
    this.#layers.forEach((plan, layer) => {
      runForward(plan, pass, size, layer);
    });
    pass.end();
    queue.submit([commands.finish()]);
    const buffer = layers[this.#layers.length]?.x ?? out;
    const bytes = 4 * size.utterances * size.frames * padded(encoder.dModel);
    return byUtterance(await readBuffers(this.#context, [{ buffer, bytes }]), lens, encoder.dModel);
  }

  /** Frees its memory. */
  dispose(): void {
    this.#scope.dispose();
    this.#parameters.dispose();
  }
}
