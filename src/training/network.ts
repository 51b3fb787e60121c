import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { encoderFrames } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import { vec4s } from '../webgpu/weights.ts';
import { createActivations, longestFrames, type Activations } from './activations.ts';
import { CtcLoss, type CtcOptions } from './ctc.ts';
import type { Draws } from './draws.ts';
import { planEmbedding, type EmbeddingPlan } from './embedding.ts';
import * as kernels from './kernels.generated.ts';
import {
  linearGradients,
  maskOf,
  planLayer,
  runBackward,
  runForward,
  type LayerPlan,
  type NetworkParts,
} from './layer.ts';
import { CTC_HEAD } from './layout.ts';
import { maskBits } from './masks.ts';
import { ORDINAL_STRIDE, OperationMaker, byFourRows, byRow, type BatchSize, type Operation } from './operations.ts';
import { Parameters } from './parameters.ts';

/** The largest batch that a network is made for. */
export interface NetworkCapacity extends BatchSize {
  /** Tokens of the longest target. */
  labels: number;
}

export interface NetworkOptions {
  /** Probability of dropout; 0, which is none, by default. */
  dropout?: number;
  /** Layers that RandomCombine combines, the last among them; none by default. */
  auxLayers?: readonly number[];
}

/** Utterances with their labels. */
export interface TrainingBatch {
  /** (N, T, num_features), utterance by utterance; what pads is not read. */
  features: Float32Array;
  /** Feature frames of each utterance, 9 or more. */
  lens: readonly number[];
  /** Token ids of each utterance. */
  targets: readonly (readonly number[])[];
  /** What is drawn for it: needed with dropout or RandomCombine. */
  draws?: Draws;
}

/** What a batch's loss is. */
export interface BatchLoss {
  /** Of each utterance. */
  losses: number[];
  /** Their reduction. */
  loss: number;
}

/** What the head and what stands before it dispatch. */
interface HeadPlan {
  forward: readonly Operation[];
  /** From the gradient of logits to that of the encoder's output. */
  backward: readonly Operation[];
  /** Takes a layer's output into the encoder's, and the encoder's gradient into the layer's. */
  combine: readonly { layer: number; take: Operation; giveBack: Operation }[];
}

/** The network in training mode on a GPU: a batch forwards, its CTC loss, and backwards to the gradients of all parameters. */
export class TrainingNetwork {
  readonly parameters: Parameters;
  readonly activations: Activations;
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #model: Model;
  readonly #capacity: NetworkCapacity;
  readonly #options: Required<NetworkOptions>;
  readonly #step: GPUBuffer;
  readonly #at: GPUBuffer;
  #embedding!: EmbeddingPlan;
  #layers: readonly LayerPlan[] = [];
  #head!: HeadPlan;
  #ctc!: CtcLoss;

  private constructor(
    context: GpuContext,
    model: Model,
    parameters: Parameters,
    capacity: NetworkCapacity,
    options: Required<NetworkOptions>,
  ) {
    this.#context = context;
    this.#model = model;
    this.#capacity = capacity;
    this.#options = options;
    this.parameters = parameters;
    this.#scope = new BufferScope(context);
    const { encoder, vocabSize = 0 } = model.sizes;
    const combined = options.auxLayers.length;
    this.activations = createActivations(this.#scope, { ...encoder, vocabSize, combined }, capacity);
    const uniform = (label: string, bytes: number) =>
      this.#scope.createBuffer('activations', label, bytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    this.#step = uniform('step', 16);
    const ordinals = Math.max(capacity.frames, encoder.numEncoderLayers + 1, combined);
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
   * @throws RillError `bad-model` without a CTC head, `bad-argument` for what is too large, `shader`, `gpu`.
   */
  static async create(
    context: GpuContext,
    model: Model,
    capacity: NetworkCapacity,
    { dropout = 0, auxLayers = [] }: NetworkOptions = {},
  ): Promise<TrainingNetwork> {
    const parameters = await Parameters.load(context, model);
    const network = new TrainingNetwork(context, model, parameters, capacity, { dropout, auxLayers });
    try {
      await network.#compile();
      return network;
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  async #compile(): Promise<void> {
    const { encoder: sizes, vocabSize = 0 } = this.#model.sizes;
    const maker = new OperationMaker(this.#context);
    const { parameters, activations } = this;
    const { dropout } = this.#options;
    const parts = { maker, sizes, parameters, activations, step: this.#step, at: this.#at, dropout };
    const capacity = { ...this.#capacity, states: 2 * this.#capacity.labels + 1 };
    const { logits, dLogits } = activations;
    this.#ctc = await CtcLoss.create(this.#context, maker, capacity, vocabSize, { logits, dLogits, step: this.#step });
    [this.#embedding, this.#head, this.#layers] = await Promise.all([
      planEmbedding(parts),
      this.#planHead(parts, vocabSize),
      Promise.all(Array.from({ length: sizes.numEncoderLayers }, (_, layer) => planLayer(parts, layer))),
    ]);
  }

  async #planHead(parts: NetworkParts, vocabSize: number): Promise<HeadPlan> {
    const { maker, sizes, parameters, activations, step, at, dropout } = parts;
    const { encoderOut, dropped, headMask, logits, dLogits, dEncoderOut, dOut, dX2, combineWeights } = activations;
    const [d, vocabulary] = [vec4s(sizes.dModel), vec4s(vocabSize)];
    const { auxLayers } = this.#options;
    const masked = (x: GPUBuffer, y: GPUBuffer) =>
      maker.make(kernels.dropout, { ...maskOf(dropout), row_vec4s: d }, { x, y, mask: headMask, step }, byRow);
    const outputOf = (layer: number) => activations.layers[layer + 1]?.x ?? activations.out;
    const combine = auxLayers.map(async (layer) => {
      const weigh = (x: GPUBuffer, y: GPUBuffer) =>
        maker.make(
          kernels.combine,
          { inputs: auxLayers.length, row_vec4s: d },
          { weights: combineWeights, x, y, step, at },
          byRow,
        );
      return { layer, take: await weigh(outputOf(layer), encoderOut), giveBack: await weigh(dEncoderOut, dOut) };
    });
    const last = sizes.numEncoderLayers - 1;
    const takeLast = async (layer: number) => {
      const add = (x: GPUBuffer, y: GPUBuffer) => maker.make(kernels.add, { row_vec4s: d }, { x, y, step }, byRow);
      return { layer, take: await add(outputOf(layer), encoderOut), giveBack: await add(dEncoderOut, dOut) };
    };
    const names = { matrix: `${CTC_HEAD}.weight`, bias: `${CTC_HEAD}.bias` };
    const linear = maker.make(
      kernels.linear,
      { in_vec4s: d, out_vec4s: vocabulary },
      {
        ...{ weight: parameters.of(names.matrix).value, bias: parameters.of(names.bias).value },
        ...{ x: dropped, y: logits, step },
      },
      byFourRows(vocabulary),
    );
    return {
      forward: await Promise.all([masked(encoderOut, dropped), linear]),
      backward: await Promise.all([
        ...linearGradients(parts, names.matrix, [names.bias], d, vocabulary, {
          ...{ dy: dLogits, x: dropped, dx: dX2 },
        }),
        masked(dX2, dEncoderOut),
      ]),
      combine: await Promise.all(combine.length > 0 ? combine : [takeLast(last)]),
    };
  }

  /**
   * Runs a batch forwards and backwards; its gradients are added to those that are there.
   *
   * @throws RillError `bad-argument` for a batch that is too large, `device-lost`, `gpu`.
   */
  async run(batch: TrainingBatch, options: CtcOptions): Promise<BatchLoss> {
    const size = this.#upload(batch);
    this.#ctc.upload(batch, options);
    const { device } = this.#context;
    const encoder = device.createCommandEncoder();
    for (const buffer of [this.activations.encoderOut, this.activations.dOut]) {
      encoder.clearBuffer(buffer);
    }
    const pass = encoder.beginComputePass();
    this.#forward(pass, size);
    this.#ctc.run(pass, size);
    this.#backward(pass, size);
    pass.end();
    device.queue.submit([encoder.finish()]);
    const losses = await readBuffers(this.#context, [{ buffer: this.#ctc.losses, bytes: 4 * size.utterances }]);
    return this.#ctc.reduced(losses);
  }

  #forward(pass: GPUComputePassEncoder, size: BatchSize): void {
    const ran = (operations: readonly Operation[]) => {
      operations.forEach((each) => {
        each.run(pass, size);
      });
    };
    const { forward, norm } = this.#embedding;
    ran(forward);
    norm.run(pass, size, this.#layers.length);
    this.#layers.forEach((plan, layer) => {
      runForward(plan, pass, size, layer);
    });
    this.#head.combine.forEach(({ take }, ordinal) => {
      take.run(pass, size, ordinal);
    });
    ran(this.#head.forward);
  }

  #backward(pass: GPUComputePassEncoder, size: BatchSize): void {
    const ran = (operations: readonly Operation[]) => {
      operations.forEach((each) => {
        each.run(pass, size);
      });
    };
    ran(this.#head.backward);
    for (let layer = this.#layers.length - 1; layer >= 0; layer--) {
      const ordinal = this.#head.combine.findIndex((each) => each.layer === layer);
      if (ordinal >= 0) {
        this.#head.combine[ordinal].giveBack.run(pass, size, ordinal);
      }
      runBackward(this.#layers[layer], pass, size, layer);
    }
    this.#embedding.normGradient.run(pass, size, this.#layers.length);
    ran(this.#embedding.backward);
  }

  /** Zeroes the gradients: the next batch begins a step. */
  clearGradients(): void {
    const encoder = this.#context.device.createCommandEncoder();
    for (const { gradient } of this.parameters.all) {
      encoder.clearBuffer(gradient);
    }
    this.#context.device.queue.submit([encoder.finish()]);
  }

  #upload({ features, lens, draws }: TrainingBatch): BatchSize {
    const size = { utterances: lens.length, frames: longestFrames(lens) };
    this.#check(size, draws);
    const { queue } = this.#context.device;
    queue.writeBuffer(this.#step, 0, Uint32Array.of(size.utterances, size.frames));
    queue.writeBuffer(this.activations.features, 0, this.#spreadFeatures(features, lens, size));
    const { numEncoderLayers: layers, dModel, dimFeedforward } = this.#model.sizes.encoder;
    const alpha = draws?.alpha ?? new Array<number>(layers).fill(1);
    queue.writeBuffer(this.activations.alpha, 0, Float32Array.of(...alpha, 1));
    if (draws && this.#options.dropout > 0) {
      const mask = (buffer: GPUBuffer, values: ArrayLike<number>, width: number) => {
        queue.writeBuffer(buffer, 0, maskBits(values, size, width));
      };
      this.activations.layers.forEach(({ masks }, layer) => {
        mask(masks.lstm, draws.layers[layer].lstm, dModel);
        mask(masks.ffInner, draws.layers[layer].ffInner, dimFeedforward);
        mask(masks.ff, draws.layers[layer].ff, dModel);
      });
      mask(this.activations.headMask, draws.head, dModel);
    }
    if (draws?.combine && this.#options.auxLayers.length > 0) {
      queue.writeBuffer(this.activations.combineWeights, 0, this.#byFrame(draws.combine, size));
    }
    return size;
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

  #check({ utterances, frames }: BatchSize, draws: Draws | undefined): void {
    const most = this.#capacity;
    if (utterances > most.utterances || frames > most.frames) {
      throw new RillError('bad-argument', {
        got: `a batch of ${utterances} utterances of up to ${frames} encoder frames`,
        expected: `at most ${most.utterances} of ${most.frames}`,
        remedy: 'Make the network for larger batches, or split the batch.',
      });
    }
    const { dropout, auxLayers } = this.#options;
    if ((dropout > 0 && !draws) || (auxLayers.length > 0 && !draws?.combine)) {
      throw new RillError('bad-argument', {
        got: 'a batch without draws',
        expected: 'masks for dropout, and weights for RandomCombine',
        remedy: 'Draw them for each batch, or make the network without dropout and auxiliary layers.',
      });
    }
  }

  /** Frees its memory. */
  dispose(): void {
    this.#ctc?.dispose();
    this.#scope.dispose();
    this.parameters.dispose();
  }
}
