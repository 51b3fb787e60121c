import { ENCODER_OUT } from '../encoder/outputs.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, type EncoderSizes } from '../model/sizes.ts';
import { UNIFORM_STRIDE, createEncoderBuffers, type EncoderBuffers, type Room } from './buffers.ts';
import { BufferScope, type GpuContext } from './device/context.ts';
import { uniformWords } from './device/kernel.ts';
import type { DispatchTimer } from './device/timer.ts';
import type { Dispatch } from './dispatch.ts';
import * as kernels from './kernels.generated.ts';
import { bindEncoder, type EncoderKernels, type EncoderPlan } from './plan.ts';
import { fitsWaves, wavesOf } from './waves.ts';
import { padded, type EncoderWeights } from './weights.ts';

/** A GPU result of a step: rows of (lanes * frames) and `width` elements, padded to vec4. */
export interface StepOutput {
  name: string;
  buffer: GPUBuffer;
  width: number;
}

/** What a head's kernels bind beside their own: the encoder's output, the step's size, and who is in it. */
export type SharedBuffers = Pick<EncoderBuffers, 'x' | 'step' | 'laneStep' | 'at' | 'lanes'>;

/** A head on top of the encoder, its weights loaded and its kernels compiled. */
export interface EncoderHead {
  /** Makes the head's buffers in `scope` and binds its kernels to them; again whenever the encoder has grown. */
  bind(scope: BufferScope, room: Room, shared: SharedBuffers): BoundHead;
}

/** A head's dispatches, which run in the encoder's step, and what they leave behind. */
export interface BoundHead {
  /** Once for all frames. */
  readonly dispatches: readonly Dispatch[];
  /** After those, for one frame after the other; a dynamic uniform gets (layer 0, frame). */
  readonly perFrame?: readonly Dispatch[];
  readonly output: StepOutput;
  /** Elements of a row of its largest buffer, where that is not the output. */
  readonly widest?: number;
  /** What the head keeps of each stream, by slot. */
  readonly states?: GPUBuffer;
  /** Called when the stream in a slot starts afresh, or behind some tokens. */
  reset?(slot: number, tokens?: readonly number[]): void;
}

/** What one lane of a step brings. */
export interface LaneInput {
  slot: number;
  /** Encoder frames. */
  frames: number;
  /** The first chunk of a stream: its features start with the left context. */
  fresh: boolean;
  features: Float32Array;
}

/** Who looks on while a step runs. */
export interface StepWatch {
  /** Gets a copy of x after the embedding and after each layer. */
  trace?: GPUBuffer;
  /** Times each dispatch, in a pass of its own. */
  timer?: DispatchTimer;
  /** Runs a part only, on what the buffers hold: to time it. */
  only?: 'embedding' | 'layers';
}

/** A dispatch in its place in a step. */
interface StepDispatch {
  dispatch: Dispatch;
  /** In waves: how many layers it covers. */
  layers?: number;
  /** Of the dynamic uniform, in bytes. */
  offset?: number;
  /** x is the output of the embedding, or of a layer, after it. */
  endsStage?: boolean;
}

/**
 * Everything of an encoder whose size goes with the number of streams: buffers, and kernels bound to them. When the
 * encoder grows it gets a new one, which takes the streams' states over; a step creates nothing.
 */
export class Workspace {
  readonly room: Room;
  readonly buffers: EncoderBuffers;
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #sizes: EncoderSizes;
  readonly #plan: EncoderPlan;
  readonly #heads: BoundHead[] = [];
  /** Staging for what a step uploads. */
  readonly #features: Float32Array<ArrayBuffer>;
  readonly #lanes: Uint32Array<ArrayBuffer>;

  /** @throws RillError `bad-argument` when a buffer would be larger than the device allows. */
  constructor(
    context: GpuContext,
    sizes: EncoderSizes,
    weights: EncoderWeights,
    compiled: EncoderKernels,
    heads: readonly EncoderHead[],
    room: Room,
  ) {
    this.room = room;
    this.#context = context;
    this.#sizes = sizes;
    this.#scope = new BufferScope(context);
    try {
      this.buffers = createEncoderBuffers(this.#scope, sizes, room);
      this.#plan = bindEncoder(compiled, sizes, weights, this.buffers);
      heads.forEach((head) => {
        this.attach(head);
      });
      this.#features = new Float32Array(this.buffers.features.size / 4);
      this.#lanes = new Uint32Array(this.buffers.lanes.size / 4);
      this.#writeAtTable();
    } catch (error) {
      this.#scope.dispose();
      throw error;
    }
  }

  attach(head: EncoderHead): BoundHead {
    const bound = head.bind(this.#scope, this.room, this.buffers);
    this.#heads.push(bound);
    return bound;
  }

  /** Of its buffers on the GPU. */
  get bytes(): number {
    return this.#scope.bytes;
  }

  /** What can be read back from a step. */
  get outputs(): StepOutput[] {
    const own = { name: ENCODER_OUT, buffer: this.buffers.x, width: this.#sizes.dModel };
    return [own, ...this.#heads.map(({ output }) => output)];
  }

  /** Takes over the states of all streams, in the same slots. */
  copyStates(before: Workspace): void {
    const encoder = this.#context.device.createCommandEncoder();
    const states = (workspace: Workspace) => {
      const { context, h, c } = workspace.buffers;
      return [context, h, c, ...workspace.#heads.flatMap((head) => head.states ?? [])];
    };
    const targets = states(this);
    states(before).forEach((source, i) => {
      encoder.copyBufferToBuffer(source, 0, targets[i], 0, source.size);
    });
    this.#context.device.queue.submit([encoder.finish()]);
  }

  /** Tells the heads that the stream in a slot starts afresh, or behind some tokens. */
  reset(slot: number, tokens?: readonly number[]): void {
    this.#heads.forEach((head) => head.reset?.(slot, tokens));
  }

  /** Dispatches of a step, and bytes of weights that they read, each once per dispatch. */
  cost(frames: number, lanes: number): { dispatches: number; weightBytes: number } {
    const cost = { dispatches: 0, weightBytes: 0 };
    for (const { dispatch, layers = 1 } of this.#dispatches(lanes, frames)) {
      cost.dispatches++;
      cost.weightBytes += layers * dispatch.weightBytes;
    }
    return cost;
  }

  /** Writes what a step reads. @param frames of the longest lane */
  upload(inputs: readonly LaneInput[], frames: number): void {
    const { queue } = this.#context.device;
    const { numFeatures } = this.#sizes;
    const contextSize = CONTEXT_FRAMES * numFeatures;
    const laneSize = SUBSAMPLING_FACTOR * frames * numFeatures;
    inputs.forEach(({ slot, frames: own, fresh, features }, lane) => {
      if (fresh) {
        const context = features.slice(0, contextSize);
        queue.writeBuffer(this.buffers.context, 4 * slot * contextSize, context);
      }
      this.#features.set(features.subarray(fresh ? contextSize : 0), lane * laneSize);
      this.#lanes.set([slot, own], 2 * lane);
    });
    queue.writeBuffer(this.buffers.features, 0, this.#features, 0, inputs.length * laneSize);
    queue.writeBuffer(this.buffers.lanes, 0, this.#lanes, 0, 2 * inputs.length);
    const step = (frames: number) => uniformWords(kernels.lstmCell.bindings.step, { lanes: inputs.length, frames });
    queue.writeBuffer(this.buffers.step, 0, step(frames));
    queue.writeBuffer(this.buffers.laneStep, 0, step(1));
  }

  /** One pass over the plan; several where somebody looks on. */
  record(encoder: GPUCommandEncoder, lanes: number, frames: number, { trace, timer, only }: StepWatch = {}): void {
    let pass = encoder.beginComputePass();
    const bytes = 4 * lanes * frames * padded(this.#sizes.dModel);
    let stage = 0;
    for (const { dispatch, layers = 1, offset, endsStage } of this.#dispatches(lanes, frames, { trace, only })) {
      if (timer) {
        pass.end();
        pass = encoder.beginComputePass({ timestampWrites: timer.next(dispatch.name) });
      }
      dispatch.run(pass, { lanes, frames, layers }, offset);
      if (trace && endsStage) {
        pass.end();
        encoder.copyBufferToBuffer(this.buffers.x, 0, trace, stage * bytes, bytes);
        pass = encoder.beginComputePass();
        stage++;
      }
    }
    pass.end();
    timer?.resolve(encoder);
  }

  /** What a step dispatches, in order. */
  *#dispatches(lanes: number, frames: number, { trace, only }: StepWatch = {}): Generator<StepDispatch> {
    const { embed, embedNorm, layers, waves } = this.#plan;
    // In waves no layer's output is ever there for all frames.
    const inWaves = waves !== undefined && trace === undefined && fitsWaves(lanes, frames);
    const at = (layer: number, frame: number) => (layer * this.room.frames + frame) * UNIFORM_STRIDE;
    if (only !== 'layers') {
      yield* embed.map((dispatch) => ({ dispatch }));
      // In waves the first layer does it; not so when only the embedding is timed.
      if (!inWaves || only) {
        yield { dispatch: embedNorm, endsStage: true };
      }
    }
    if (only === 'embedding') {
      return;
    }
    if (inWaves) {
      for (const wave of wavesOf(layers.length, frames)) {
        const offset = at(wave.layer, wave.frame);
        yield* waves.map((dispatch) => ({ dispatch, layers: wave.layers, offset }));
      }
      yield { dispatch: layers[layers.length - 1].norm };
    } else {
      for (const [l, { before, perFrame, after, norm }] of layers.entries()) {
        yield* before.map((dispatch) => ({ dispatch }));
        for (let t = 0; t < frames; t++) {
          yield* perFrame.map((dispatch) => ({ dispatch, offset: at(l, t) }));
        }
        yield* after.map((dispatch) => ({ dispatch }));
        yield { dispatch: norm, endsStage: true };
      }
    }
    for (const { dispatches, perFrame = [] } of only ? [] : this.#heads) {
      yield* dispatches.map((dispatch) => ({ dispatch }));
      for (let t = 0; t < frames; t++) {
        yield* perFrame.map((dispatch) => ({ dispatch, offset: at(0, t) }));
      }
    }
  }

  dispose(): void {
    this.#scope.dispose();
  }

  /** The (layer, frame) blocks that kernels over one frame are bound to, one after the other. */
  #writeAtTable(): void {
    const { frames } = this.room;
    const table = new Uint32Array(this.buffers.at.size / 4);
    for (let layer = 0; layer < this.#sizes.numEncoderLayers; layer++) {
      for (let frame = 0; frame < frames; frame++) {
        const block = uniformWords(kernels.lstmCell.bindings.at, { layer, frame });
        table.set(block, (layer * frames + frame) * (UNIFORM_STRIDE / 4));
      }
    }
    this.#context.device.queue.writeBuffer(this.buffers.at, 0, table);
  }
}
