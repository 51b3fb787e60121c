import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { encoderFrames } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import { vec4s } from '../webgpu/weights.ts';
import { createActivations, longestFrames, type Activations } from './activations.ts';
import type { TrainingBatch } from './batch.ts';
import { checkBatch, checkOptions } from './checks.ts';
import { combineWeights, layerAlphas, type DrawStep, type Draws } from './draws.ts';
import { planEmbedding, type EmbeddingPlan } from './embedding.ts';
import * as kernels from './kernels.generated.ts';
import { planLayer, runBackward, runForward, type LayerPlan, type NetworkParts } from './layer.ts';
import { EMBED, layerPrefix, trainingLayouts, type Head } from './layout.ts';
import { CtcHead } from './losses/ctc-head.ts';
import { reduced, type BatchLoss, type Loss, type LossOptions, type Utterance } from './losses/loss.ts';
import type { RnntType } from './losses/transducer-plan.ts';
import { TransducerLoss } from './losses/transducer.ts';
import { Masks } from './masks.ts';
import {
  ORDINAL_STRIDE,
  OperationMaker,
  byRow,
  runAll,
  type BatchSize,
  type Capacity,
  type Operation,
} from './operations.ts';
import { Parameters } from './parameters.ts';

export interface NetworkOptions {
  /** Probability of dropout; 0, which is none, by default. */
  dropout?: number;
  /** Probability that a layer is bypassed; 0 by default. */
  layerDropout?: number;
  /** Layers that RandomCombine combines, the last among them; none by default. */
  auxLayers?: readonly number[];
  /**
   * Prefixes of the names of what is trained, under icefall's names; all by default. Nothing is computed backwards below the
   * lowest of them.
   */
  trainable?: readonly string[];
  /** Which head is trained; `ctc` by default. Over the CTC head an utterance's target may be a spike, too. */
  loss?: Head;
  /** Of the transducer; `modified` by default, as the bundled model was trained. */
  rnntType?: RnntType;
}

/** Takes a layer's output into the encoder's, and the encoder's gradient into the layer's. */
interface Combination {
  layer: number;
  take: Operation;
  giveBack: Operation;
}

/** The network in training mode on a GPU: a batch forwards, its loss, and backwards to the gradients of all parameters. */
export class TrainingNetwork {
  readonly parameters: Parameters;
  readonly activations: Activations;
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #model: Model;
  readonly #capacity: Capacity;
  readonly #options: Required<NetworkOptions>;
  readonly #step: GPUBuffer;
  readonly #at: GPUBuffer;
  #embedding!: EmbeddingPlan;
  #layers: readonly LayerPlan[] = [];
  #masks!: Masks;
  /** The lowest layer that is trained; -1 where the embedding is, as many as there are layers where the head alone is. */
  #lowest = -1;
  #combinations: readonly Combination[] = [];
  #loss!: Loss;
  /** Of the batch that was submitted last. */
  #submitted: { utterances: readonly Utterance[]; options: LossOptions } | undefined;

  private constructor(
    context: GpuContext,
    model: Model,
    parameters: Parameters,
    capacity: Capacity,
    options: Required<NetworkOptions>,
  ) {
    this.#context = context;
    this.#model = model;
    this.#capacity = capacity;
    this.#options = options;
    this.parameters = parameters;
    this.#scope = new BufferScope(context);
    const { encoder } = model.sizes;
    const combined = options.auxLayers.length;
    this.activations = createActivations(this.#scope, { ...encoder, combined }, capacity);
    const uniform = (label: string, bytes: number) =>
      this.#scope.createBuffer('activations', label, bytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    this.#step = uniform('step', 16);
    const ordinals = Math.max(capacity.frames, Masks.count(encoder.numEncoderLayers), combined);
    this.#at = uniform('at', ORDINAL_STRIDE * ordinals);
    const words = new Uint32Array((ORDINAL_STRIDE / 4) * ordinals);
    for (let ordinal = 0; ordinal < ordinals; ordinal++) {
      words.fill(ordinal, (ORDINAL_STRIDE / 4) * ordinal, (ORDINAL_STRIDE / 4) * ordinal + 2);
    }
    context.device.queue.writeBuffer(this.#at, 0, words);
  }

  /**
   * Loads a model's parameters and compiles what a batch takes.
   *
   * @throws RillError `bad-model` without the head, `bad-argument` for what is too large, `shader`, `gpu`.
   */
  static async create(
    context: GpuContext,
    model: Model,
    capacity: Capacity,
    options: NetworkOptions = {},
  ): Promise<TrainingNetwork> {
    const { dropout = 0, layerDropout = 0, auxLayers = [], trainable = [''] } = options;
    const { loss = 'ctc', rnntType = 'modified' } = options;
    checkOptions(model.sizes.encoder, { dropout, layerDropout, auxLayers });
    const parameters = await Parameters.load(context, model.weights, trainingLayouts(model.sizes, loss), trainable);
    const resolved = { dropout, layerDropout, auxLayers, trainable, loss, rnntType };
    const network = new TrainingNetwork(context, model, parameters, capacity, resolved);
    try {
      await network.#compile();
      return network;
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  async #compile(): Promise<void> {
    const { sizes } = this.#model;
    const maker = new OperationMaker(this.#context);
    const { parameters, activations } = this;
    const { dropout } = this.#options;
    const shared = { maker, parameters, step: this.#step, dropout };
    const parts = { ...shared, sizes: sizes.encoder, activations, at: this.#at };
    const { encoderOut, dEncoderOut, headMask } = activations;
    const ofLoss = { ...shared, context: this.#context, sizes, capacity: this.#capacity, encoderOut, dEncoderOut };
    const { loss, rnntType } = this.#options;
    this.#loss = await (loss === 'ctc'
      ? CtcHead.create({ ...ofLoss, headMask })
      : TransducerLoss.create(ofLoss, rnntType));
    const lowest = (this.#lowest = this.#lowestTrained());
    [this.#masks, this.#embedding, this.#combinations, this.#layers] = await Promise.all([
      Masks.create(parts, this.#scope),
      planEmbedding(parts),
      this.#planCombinations(parts),
      Promise.all(
        Array.from({ length: sizes.encoder.numEncoderLayers }, (_, layer) => planLayer(parts, layer, layer === lowest)),
      ),
    ]);
  }

  #planCombinations({ maker, sizes, activations, step, at }: NetworkParts): Promise<Combination[]> {
    const { encoderOut, dEncoderOut, dOut, combineWeights } = activations;
    const row = { row_vec4s: vec4s(sizes.dModel) };
    const { auxLayers } = this.#options;
    const outputOf = (layer: number) => activations.layers[layer + 1]?.x ?? activations.out;
    const join = (x: GPUBuffer, y: GPUBuffer) =>
      auxLayers.length > 0
        ? maker.make(
            kernels.combine,
            { inputs: auxLayers.length, ...row },
            { weights: combineWeights, x, y, step, at },
            byRow,
          )
        : maker.make(kernels.add, row, { x, y, step }, byRow);
    const layers = auxLayers.length > 0 ? auxLayers : [sizes.numEncoderLayers - 1];
    return Promise.all(
      layers.map(async (layer) => {
        const [take, giveBack] = await Promise.all([join(outputOf(layer), encoderOut), join(dEncoderOut, dOut)]);
        return { layer, take, giveBack };
      }),
    );
  }

  /**
   * Runs a batch forwards and backwards; its gradients are added to those that are there.
   *
   * @throws RillError `bad-argument` for a batch that is too large or targets that the loss does not know, `device-lost`, `gpu`.
   */
  run(batch: TrainingBatch, options: LossOptions): Promise<BatchLoss> {
    this.submit(batch, options);
    return this.losses();
  }

  /**
   * Begins what {@link run} does, in one submit.
   *
   * @param isFirst of a step's micro-batches: gradients start from zero
   * @param then what else goes into the submit
   * @throws RillError as {@link run} does.
   */
  submit(
    batch: TrainingBatch,
    options: LossOptions,
    { isFirst = false, then }: { isFirst?: boolean; then?: (encoder: GPUCommandEncoder) => void } = {},
  ): void {
    const size = this.#upload(batch);
    const utterances = this.#loss.upload(batch, options);
    const { device } = this.#context;
    const encoder = device.createCommandEncoder();
    const { encoderOut, dOut } = this.activations;
    const gradients = isFirst ? this.parameters.trained.map(({ gradient }) => gradient) : [];
    for (const buffer of [encoderOut, dOut, ...gradients]) {
      encoder.clearBuffer(buffer);
    }
    const pass = encoder.beginComputePass();
    const { draws } = batch;
    if (draws && 'seed' in draws && this.#options.dropout > 0) {
      this.#masks.draw(draws, pass, size);
    }
    this.#forward(pass, size);
    this.#loss.run(pass, size);
    this.#backward(pass, size);
    pass.end();
    then?.(encoder);
    device.queue.submit([encoder.finish()]);
    this.#submitted = { utterances, options };
  }

  /** The losses of the batch that was submitted last. @throws RillError `closed` before there is one, `device-lost`, `gpu`. */
  async losses(): Promise<BatchLoss> {
    if (!this.#submitted) {
      throw new RillError('closed', {
        got: 'no batch',
        expected: 'one that was submitted',
        remedy: 'Submit a batch first.',
      });
    }
    const { utterances, options } = this.#submitted;
    const read = await readBuffers(this.#context, [{ buffer: this.#loss.losses, bytes: 4 * utterances.length }]);
    return reduced(read, utterances, options);
  }

  #forward(pass: GPUComputePassEncoder, size: BatchSize): void {
    const { forward, norm } = this.#embedding;
    runAll(forward, pass, size);
    norm.run(pass, size, this.#layers.length);
    this.#layers.forEach((plan, layer) => {
      runForward(plan, pass, size, layer);
    });
    this.#combinations.forEach(({ take }, ordinal) => {
      take.run(pass, size, ordinal);
    });
  }

  #backward(pass: GPUComputePassEncoder, size: BatchSize): void {
    for (let layer = this.#layers.length - 1; layer >= Math.max(this.#lowest, 0); layer--) {
      const ordinal = this.#combinations.findIndex((each) => each.layer === layer);
      if (ordinal >= 0) {
        this.#combinations[ordinal].giveBack.run(pass, size, ordinal);
      }
      runBackward(this.#layers[layer], pass, size, layer);
    }
    if (this.#lowest < 0) {
      this.#embedding.normGradient.run(pass, size, this.#layers.length);
      runAll(this.#embedding.backward, pass, size);
    }
  }

  #lowestTrained(): number {
    const isAny = (prefix: string) => this.parameters.trained.some(({ name }) => name.startsWith(prefix));
    if (isAny(`${EMBED}.`)) {
      return -1;
    }
    const { numEncoderLayers: layers } = this.#model.sizes.encoder;
    const lowest = Array.from({ length: layers }, (_, layer) => isAny(`${layerPrefix(layer)}.`)).indexOf(true);
    return lowest < 0 ? layers : lowest;
  }

  #upload(batch: TrainingBatch): BatchSize {
    const { features, lens, draws, warmup = 1 } = batch;
    const size = { utterances: lens.length, frames: longestFrames(lens) };
    checkBatch(batch, size, this.#capacity, this.#model.sizes, this.#options);
    const { queue } = this.#context.device;
    queue.writeBuffer(this.#step, 0, Uint32Array.of(size.utterances, size.frames));
    queue.writeBuffer(this.activations.features, 0, this.#spreadFeatures(features, lens, size));
    const { alpha, combine } = this.#random(draws, size, warmup);
    queue.writeBuffer(this.activations.alpha, 0, Float32Array.of(...alpha, 1));
    if (draws && !('seed' in draws) && this.#options.dropout > 0) {
      this.#masks.give(draws, size);
    }
    if (combine) {
      queue.writeBuffer(this.activations.combineWeights, 0, this.#byFrame(combine, size));
    }
    return size;
  }

  /** Alphas of the layers, and the weights of RandomCombine: those that are given, or drawn. */
  #random(draws: Draws | DrawStep | undefined, size: BatchSize, warmup: number): Pick<Draws, 'alpha' | 'combine'> {
    const { layerDropout: probability, auxLayers } = this.#options;
    const { numEncoderLayers: layers } = this.#model.sizes.encoder;
    if (!draws) {
      return { alpha: new Array<number>(layers).fill(1) };
    }
    if (!('seed' in draws)) {
      return draws;
    }
    const alpha = layerAlphas(draws, layers, { probability, warmup });
    if (auxLayers.length === 0) {
      return { alpha };
    }
    const { utterances: batch, frames } = size;
    return { alpha, combine: combineWeights(draws, { batch, frames }, auxLayers.length) };
  }

  /** Values (utterances, frames, n), frame by frame. */
  #byFrame(values: ArrayLike<number>, { utterances, frames }: BatchSize): Float32Array<ArrayBuffer> {
    const width = values.length / utterances / frames;
    const rows = new Float32Array(values.length);
    for (let row = 0; row < utterances * frames; row++) {
      const [t, n] = [Math.floor(row / utterances), row % utterances];
      for (let k = 0; k < width; k++) {
        rows[row * width + k] = values[(n * frames + t) * width + k];
      }
    }
    return rows;
  }

  /** Features frame by frame, each a vec4 for itself; nothing of what pads them. */
  #spreadFeatures(features: Float32Array, lens: readonly number[], { utterances, frames }: BatchSize) {
    const { numFeatures } = this.#model.sizes.encoder;
    const longest = features.length / utterances / numFeatures;
    const times = 4 * frames + 5;
    const spread = new Float32Array(times * utterances * numFeatures * 4);
    for (let n = 0; n < utterances; n++) {
      const own = Math.min(times, 4 * encoderFrames(lens[n]) + 5);
      for (let t = 0; t < own; t++) {
        for (let f = 0; f < numFeatures; f++) {
          spread[((t * utterances + n) * numFeatures + f) * 4] = features[(n * longest + t) * numFeatures + f];
        }
      }
    }
    return spread;
  }

  /** Frees its memory. */
  dispose(): void {
    this.#loss?.dispose();
    this.#scope.dispose();
    this.parameters.dispose();
  }
}
