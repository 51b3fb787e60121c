import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers, type Pending } from '../webgpu/device/readback.ts';
import { padded, vec4s } from '../webgpu/weights.ts';
import { createActivations, longestFrames, type Activations } from './activations.ts';
import type { TrainingBatch } from './batch.ts';
import { checkBatch, checkOptions } from './checks.ts';
import { combineWeights, layerAlphas, type DrawStep, type Draws } from './draws.ts';
import { planEmbedding, planEmbeddingBackward, type EmbeddingBackwardPlan, type EmbeddingPlan } from './embedding.ts';
import { byFrame, byUtterance, spreadFeatures, spreadHidden } from './inputs.ts';
import * as kernels from './kernels.generated.ts';
import {
  planBackward,
  planForward,
  runBackward,
  runForward,
  runWithin,
  type BackwardPlan,
  type ForwardPlan,
  type NetworkParts,
} from './layer.ts';
import { EMBED, layerPrefix, trainingLayouts } from './layout.ts';
import { CtcHead } from './losses/ctc-head.ts';
import { reduced, type BatchLoss, type Loss, type LossOptions, type Utterance } from './losses/loss.ts';
import type { Head, RnntType } from './losses/targets.ts';
import { TransducerLoss } from './losses/transducer.ts';
import { Masks } from './masks.ts';
import {
  OperationMaker,
  allEnded,
  byRow,
  createOrdinals,
  createUniform,
  runAll,
  type BatchSize,
  type Capacity,
  type Operation,
} from './operations.ts';
import { Parameters } from './parameters.ts';
import { KEEPING_KERNELS, type Precision } from './precision.ts';
import type { ShapingOptions } from './shaping-options.ts';
import { Shaping } from './shaping.ts';

export interface NetworkOptions {
  /** Probability of dropout; 0, which is none, by default. */
  dropout?: number;
  /** Probability that a layer is bypassed; 0 by default. */
  layerDropout?: number;
  /** Layers that RandomCombine combines, the last among them; none by default. */
  auxLayers?: readonly number[];
  /**
   * Prefixes of the names of what is trained, under icefall's names; all by default. Nothing is computed backwards below the
   * lowest of them, nor kept.
   */
  trainable?: readonly string[];
  /**
   * The first layer that runs, on what batches hold as `hidden`. By default all run, from features on. What is below takes no
   * memory.
   */
  from?: number;
  /**
   * Whether layers keep their input alone and compute the rest once more on the way back: less than half of the memory, for
   * the time of another way forward. By default where all of it does not fit.
   */
  recompute?: boolean;
  /**
   * How layers keep what the way back reads; f32 by default. In f16 layers take two thirds of the memory. Sums, parameters,
   * gradients and the optimizer's state are in f32 all the same.
   */
  precision?: Precision;
  /** icefall's shaping of gradients; none by default. */
  shaping?: ShapingOptions;
  /** Which head is trained; `ctc` by default. Over the CTC head an utterance's target may be a spike, too. */
  loss?: Head;
  /** Of the transducer; `modified` by default, as the bundled model was trained. */
  rnntType?: RnntType;
}

/** Options as a network has them. */
type Resolved = NetworkOptions &
  Required<
    Pick<NetworkOptions, 'dropout' | 'auxLayers' | 'layerDropout' | 'recompute' | 'precision' | 'loss' | 'rnntType'>
  >;

/** How a batch is run. */
export interface Submission {
  /** Of a step's micro-batches: gradients start from zero. */
  isFirst?: boolean;
  /** Whether gradients are wanted; by default they are. Without them what was in the head's is no longer of use. */
  isTrained?: boolean;
  /** What else goes into the submit. */
  then?: (encoder: GPUCommandEncoder) => void;
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
  /** Whether the parameters were loaded here. */
  readonly #ownsParameters: boolean;
  readonly #model: Model;
  readonly #capacity: Capacity;
  readonly #options: Resolved;
  readonly #step: GPUBuffer;
  readonly #at: GPUBuffer;
  readonly #shaping: Shaping;
  /** The lowest layer that is trained; -1 where the embedding is, as many as there are layers where the head alone is. */
  readonly #lowest: number;
  /** Absent where a batch comes in behind it; the way back absent where nothing of it is trained. */
  #embedding: EmbeddingPlan | undefined;
  #embeddingBackward: EmbeddingBackwardPlan | undefined;
  /** Of the layers that run, from the first; of those that are trained, or that something below is. */
  #forwards: readonly ForwardPlan[] = [];
  #backwards: readonly BackwardPlan[] = [];
  #masks!: Masks;
  #combinations: readonly Combination[] = [];
  #keeping: Operation | undefined;
  #loss!: Loss;
  /** Of the batch that was submitted last. */
  #submitted: { lens: readonly number[]; utterances: readonly Utterance[]; options: LossOptions } | undefined;

  private constructor(
    context: GpuContext,
    model: Model,
    parameters: Parameters,
    capacity: Capacity,
    options: Resolved,
    ownsParameters: boolean,
  ) {
    this.#context = context;
    this.#ownsParameters = ownsParameters;
    this.#model = model;
    this.#capacity = capacity;
    this.#options = options;
    this.parameters = parameters;
    const scope = (this.#scope = new BufferScope(context, { ownErrors: true }));
    const { encoder } = model.sizes;
    const { numEncoderLayers: layers } = encoder;
    const { from, recompute, dropout, precision } = options;
    const combined = options.auxLayers.length;
    const lowest = (this.#lowest = lowestTrained(parameters, layers));
    const keeping = { from, lowest, recompute, hasDropout: dropout > 0, combined, precision };
    const storage = (label: string, floats: number) => scope.createStorage('activations', label, 4 * floats);
    this.activations = scope.make(() => createActivations(storage, encoder, capacity, keeping));
    this.#shaping = new Shaping(scope, encoder, capacity, options.shaping);
    this.#step = createUniform(scope, 'activations', 'step', 16);
    this.#at = createOrdinals(scope, 'activations', Math.max(capacity.frames, Masks.count(layers), combined));
  }

  /**
   * Loads a model's parameters and compiles what a batch takes.
   *
   * @param shared parameters of another network of the same model, head and first layer; they stay the other's
   * @throws RillError `bad-model` without the head, `bad-argument` for what is too large, `shader`, `gpu` for what there is no
   * memory for.
   */
  static async create(
    context: GpuContext,
    model: Model,
    capacity: Capacity,
    options: NetworkOptions = {},
    shared?: Parameters,
  ): Promise<TrainingNetwork> {
    const { dropout = 0, layerDropout = 0, auxLayers = [], trainable = [''] } = options;
    const { from, recompute, shaping, precision = 'f32', loss = 'ctc', rnntType = 'modified' } = options;
    checkOptions(model.sizes.encoder, { dropout, layerDropout, auxLayers, from, shaping, precision });
    const layouts = trainingLayouts(model.sizes, loss, { from });
    const parameters = shared ?? (await Parameters.load(context, model.weights, layouts, trainable));
    const isOwn = shared === undefined;
    const resolved = { dropout, layerDropout, auxLayers, from, shaping, precision, loss, rnntType };
    try {
      checkTrained(parameters, trainable);
      const network = await this.#fitting(
        recompute === undefined ? [false, true] : [recompute],
        (isRecomputed) =>
          new TrainingNetwork(context, model, parameters, capacity, { ...resolved, recompute: isRecomputed }, isOwn),
      );
      await network.#compile();
      return network;
    } catch (error) {
      if (isOwn) {
        parameters.dispose();
      }
      throw error;
    }
  }

  /** The first of some ways that there is memory for. */
  static async #fitting(
    [recompute, ...others]: readonly boolean[],
    make: (recompute: boolean) => TrainingNetwork,
  ): Promise<TrainingNetwork> {
    const network = make(recompute);
    try {
      await network.#scope.settled();
      return network;
    } catch (error) {
      network.#scope.dispose();
      if (others.length === 0) {
        throw error;
      }
      return this.#fitting(others, make);
    }
  }

  async #compile(): Promise<void> {
    const { sizes } = this.#model;
    const maker = new OperationMaker(this.#scope);
    const { parameters, activations } = this;
    const { dropout, from, precision, loss, rnntType } = this.#options;
    const shared = { maker, parameters, step: this.#step, dropout };
    const parts = { ...shared, sizes: sizes.encoder, activations, at: this.#at, precision };
    const backward = { ...parts, shaping: this.#shaping };
    const { encoderOut, dEncoderOut, headMask } = activations;
    const ofLoss = { ...shared, context: this.#context, sizes, capacity: this.#capacity, encoderOut, dEncoderOut };
    const lowest = this.#lowest;
    const layersFrom = (first: number) =>
      Array.from({ length: sizes.encoder.numEncoderLayers - first }, (_, i) => first + i);
    const isLowest = (layer: number) => layer === lowest || layer === from;
    try {
      const head: Promise<Loss> =
        loss === 'ctc' ? CtcHead.create({ ...ofLoss, headMask }) : TransducerLoss.create(ofLoss, rnntType);
      [
        ,
        this.#masks,
        this.#combinations,
        this.#keeping,
        this.#embedding,
        this.#embeddingBackward,
        this.#forwards,
        this.#backwards,
      ] = await allEnded([
        head.then((made) => (this.#loss = made)),
        Masks.create(parts, this.#scope, from ?? 0),
        this.#planCombinations(parts),
        this.#planKeeping(parts),
        from === undefined ? planEmbedding(parts) : undefined,
        lowest < 0 ? planEmbeddingBackward(backward) : undefined,
        Promise.all(layersFrom(from ?? 0).map((layer) => planForward(parts, layer))),
        Promise.all(layersFrom(Math.max(lowest, 0)).map((layer) => planBackward(backward, layer, isLowest(layer)))),
      ]);
    } catch (error) {
      this.#loss?.dispose();
      this.#scope.dispose();
      throw error;
    }
  }

  /** The first layer's input, as layers keep it; undefined where that is as it comes. */
  async #planKeeping({ maker, sizes, activations, step, precision }: NetworkParts): Promise<Operation | undefined> {
    const { input, layers } = activations;
    const buffers = { x: input, y: layers[this.#options.from ?? 0].x, step };
    return precision === 'f16'
      ? maker.make(kernels.keepF16, { row_vec4s: vec4s(sizes.dModel) }, buffers, byRow)
      : undefined;
  }

  #planCombinations({ maker, sizes, activations, step, at, precision }: NetworkParts): Promise<Combination[]> {
    const { encoderOut, dEncoderOut, dOut, combineWeights } = activations;
    const row = { row_vec4s: vec4s(sizes.dModel) };
    const { auxLayers } = this.#options;
    const outputOf = (layer: number) => activations.layers[layer + 1]?.x ?? activations.out;
    const join = (x: GPUBuffer, y: GPUBuffer, kept: Precision) => {
      const { add, combine } = KEEPING_KERNELS[kept];
      return auxLayers.length > 0
        ? maker.make(combine, { inputs: auxLayers.length, ...row }, { weights: combineWeights, x, y, step, at }, byRow)
        : maker.make(add, row, { x, y, step }, byRow);
    };
    const layers = auxLayers.length > 0 ? auxLayers : [sizes.numEncoderLayers - 1];
    return Promise.all(
      layers.map(async (layer) => {
        const [take, giveBack] = await Promise.all([
          join(outputOf(layer), encoderOut, precision),
          join(dEncoderOut, dOut, 'f32'),
        ]);
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
   * @throws RillError as {@link run} does.
   */
  submit(
    batch: TrainingBatch,
    options: LossOptions,
    { isFirst = false, isTrained = true, then }: Submission = {},
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
    this.parameters.copyToTextures(encoder);
    const pass = encoder.beginComputePass();
    const { draws } = batch;
    if (draws && 'seed' in draws && this.#options.dropout > 0) {
      this.#masks.draw(draws, pass, size);
    }
    this.#forward(pass, size);
    this.#loss.run(pass, size);
    if (isTrained) {
      this.#backward(pass, size);
    }
    pass.end();
    then?.(encoder);
    device.queue.submit([encoder.finish()]);
    this.#submitted = { lens: batch.lens, utterances, options };
  }

  /** The losses of the batch that was submitted last. @throws RillError `closed` before there is one, `device-lost`, `gpu`. */
  async losses(): Promise<BatchLoss> {
    const { part, of } = this.pendingLosses();
    return of(await readBuffers(this.#context, [part]));
  }

  /**
   * Where the losses of the batch that was submitted last lie, to be read together with what else a step tells.
   *
   * @throws RillError `closed` before there is one.
   */
  pendingLosses(): Pending<BatchLoss> {
    const { utterances, options } = this.#last();
    return {
      part: { buffer: this.#loss.losses, bytes: 4 * utterances.length },
      of: (read) => reduced(read, utterances, options),
    };
  }

  /**
   * What a search reads, of the batch that was submitted last: log-probabilities of the CTC head, or the encoder's output as
   * a transducer's joiner takes it in.
   *
   * @returns (T'_n, width) of each utterance
   * @throws RillError as {@link losses} does.
   */
  async outputs(): Promise<Float32Array<ArrayBuffer>[]> {
    const { lens } = this.#last();
    const { buffer, width } = this.#loss.output;
    const bytes = 4 * lens.length * longestFrames(lens) * padded(width);
    return byUtterance(await readBuffers(this.#context, [{ buffer, bytes }]), lens, width);
  }

  #last() {
    if (!this.#submitted) {
      throw new RillError('closed', {
        got: 'no batch',
        expected: 'one that was submitted',
        remedy: 'Submit a batch first.',
      });
    }
    return this.#submitted;
  }

  #forward(pass: GPUComputePassEncoder, size: BatchSize): void {
    const { numEncoderLayers: layers } = this.#model.sizes.encoder;
    if (this.#embedding) {
      runAll(this.#embedding.operations, pass, size);
      this.#embedding.norm.run(pass, size, layers);
    }
    this.#keeping?.run(pass, size);
    this.#forwards.forEach((plan, i) => {
      const layer = layers - this.#forwards.length + i;
      runForward(plan, pass, size, layer);
      this.#combine('take', layer, pass, size);
    });
  }

  #backward(pass: GPUComputePassEncoder, size: BatchSize): void {
    const { numEncoderLayers: layers } = this.#model.sizes.encoder;
    const forwards = this.#forwards.slice(this.#forwards.length - this.#backwards.length);
    const last = this.#backwards.length - 1;
    for (let i = last; i >= 0; i--) {
      const layer = layers - this.#backwards.length + i;
      this.#combine('giveBack', layer, pass, size);
      // What is within the last layer is still there.
      if (this.#options.recompute && i < last) {
        runWithin(forwards[i], pass, size);
      }
      runBackward(this.#backwards[i], pass, size, layer);
    }
    if (this.#embeddingBackward) {
      runAll(this.#embeddingBackward.before, pass, size);
      this.#embeddingBackward.norm.run(pass, size, layers);
      runAll(this.#embeddingBackward.operations, pass, size);
    }
  }

  /** A layer's share in the encoder's output, or in its gradient. */
  #combine(way: 'take' | 'giveBack', layer: number, pass: GPUComputePassEncoder, size: BatchSize): void {
    const ordinal = this.#combinations.findIndex((each) => each.layer === layer);
    if (ordinal >= 0) {
      this.#combinations[ordinal][way].run(pass, size, ordinal);
    }
  }

  #upload(batch: TrainingBatch): BatchSize {
    const { features, hidden, lens, draws, warmup = 1 } = batch;
    const { from, dropout } = this.#options;
    const size = { utterances: lens.length, frames: longestFrames(lens) };
    checkBatch(batch, size, this.#capacity, this.#model.sizes, this.#options);
    const { queue } = this.#context.device;
    const { encoder } = this.#model.sizes;
    queue.writeBuffer(this.#step, 0, Uint32Array.of(size.utterances, size.frames));
    if (features) {
      queue.writeBuffer(this.activations.features, 0, spreadFeatures(features, lens, encoder.numFeatures, size));
    }
    if (hidden && from !== undefined) {
      queue.writeBuffer(this.activations.input, 0, spreadHidden(hidden, lens, encoder.dModel, size));
    }
    this.#shaping.begin(lens, draws);
    const { alpha, combine } = this.#random(draws, size, warmup);
    queue.writeBuffer(this.activations.alpha, 0, Float32Array.of(...alpha, 1));
    if (draws && !('seed' in draws) && dropout > 0) {
      this.#masks.give(draws, size);
    }
    if (combine) {
      queue.writeBuffer(this.activations.combineWeights, 0, byFrame(combine, size));
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

  /** Frees its memory. */
  dispose(): void {
    this.#loss?.dispose();
    this.#scope.dispose();
    if (this.#ownsParameters) {
      this.parameters.dispose();
    }
  }
}

/** The lowest layer that is trained; -1 where the embedding is, as many as there are layers where the head alone is. */
function lowestTrained(parameters: Parameters, layers: number): number {
  const isAny = (prefix: string) => parameters.trained.some(({ name }) => name.startsWith(prefix));
  if (isAny(`${EMBED}.`)) {
    return -1;
  }
  const lowest = Array.from({ length: layers }, (_, layer) => isAny(`${layerPrefix(layer)}.`)).indexOf(true);
  return lowest < 0 ? layers : lowest;
}

/** @throws RillError `bad-argument` where nothing is trained. */
function checkTrained(parameters: Parameters, trainable: readonly string[]): void {
  if (parameters.trained.length === 0) {
    throw new RillError('bad-argument', {
      got: `nothing to train: no tensor that runs begins with ${trainable.join(' or ')}`,
      expected: 'prefixes of icefall’s names, such as encoder.encoder.layers.3. or ctc_output.',
      remedy: 'Name what is to be trained, or leave `trainable` out to train all.',
    });
  }
}
