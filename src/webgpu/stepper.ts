import { checkInputs, encoderClosed, unknownOutput } from '../encoder/checks.ts';
import type { Encoder, StepInput, StepResult, TimedStep } from '../encoder/encoder.ts';
import type { GpuContext } from './device/context.ts';
import { Pace } from './device/pace.ts';
import { ReadbackRing, type ReadbackPlace } from './device/readback.ts';
import type { Slots } from './slots.ts';
import { SlotState } from './state.ts';
import { padded, restride } from './weights.ts';
import type { StepOutput, StepWatch } from './workspace.ts';

/** Steps that can be under way before one has been read back. */
const STEPS_IN_FLIGHT = 3;

/** A step that is on the GPU. */
interface SubmittedStep {
  lanes: number;
  /** Of the longest lane, and of each. */
  frames: number;
  counts: readonly number[];
  /** That are read back. */
  bytes: number;
  /** That the device had reported before. */
  failures: number;
  /** When it was submitted. */
  at: number;
}

/** A step's results, and its size. */
interface FinishedStep extends TimedStep {
  lanes: number;
  frames: number;
}

/**
 * Runs steps: inputs to the GPU, one submit, results back. A step is one command buffer, one submit and one readback, and
 * creates nothing. They run in the order of their calls; with more than three under way, or right after the encoder has
 * grown or changed kernels, a step waits, and takes features and states as they are then.
 */
export class Stepper {
  readonly #context: GpuContext;
  readonly #encoder: Encoder;
  readonly #slots: Slots;
  readonly #ring: ReadbackRing;
  readonly #pace = new Pace();
  /** When the last step that came back was done on the GPU. */
  #doneAt = 0;
  #disposed = false;

  constructor(context: GpuContext, encoder: Encoder, slots: Slots) {
    this.#context = context;
    this.#encoder = encoder;
    this.#slots = slots;
    this.#ring = new ReadbackRing(context, STEPS_IN_FLIGHT);
  }

  /**
   * A step from its inputs to its results, in a place of the ring.
   *
   * @param prepare called right before the submit; without inputs nothing happens
   */
  async run(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    watch: StepWatch & { onSubmit?: () => void } = {},
  ): Promise<FinishedStep> {
    this.check();
    return this.#context.idle.during(() => this.#run(prepare, read, watch));
  }

  async #run(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    { onSubmit, ...watch }: StepWatch & { onSubmit?: () => void },
  ): Promise<FinishedStep> {
    // With a free place nothing is awaited before the submit.
    const acquired = this.#ring.acquire();
    const place = acquired instanceof Promise ? await acquired : acquired;
    try {
      if (this.#slots.isMoving) {
        await this.#slots.settled();
      }
      // From here to the submit nothing is awaited: what is checked is what runs.
      this.check();
      const outputs = this.#findOutputs(read);
      const inputs = prepare();
      if (inputs.length === 0) {
        return { results: [], lanes: 0, frames: 0, computeMs: 0, readbackMs: 0 };
      }
      const step = this.#submit(inputs, outputs, place, watch);
      onSubmit?.();
      const { values, computeMs, readbackMs } = await this.#await(step, place);
      const { lanes, frames } = step;
      return { results: resultsOf(values, step, outputs), lanes, frames, computeMs, readbackMs };
    } catch (error) {
      if (this.#disposed) {
        throw encoderClosed();
      }
      throw await this.#context.explain(error);
    } finally {
      this.#ring.release(place);
    }
  }

  /** @throws RillError `closed`, and what went wrong on the device. */
  check(): void {
    if (this.#disposed) {
      throw encoderClosed();
    }
    this.#context.check();
  }

  dispose(): void {
    this.#disposed = true;
    this.#ring.dispose();
  }

  /** Checks, uploads, records and submits a step, with the copy of its outputs into a place of the ring. */
  #submit(
    inputs: readonly StepInput[],
    outputs: readonly StepOutput[],
    place: ReadbackPlace,
    watch: StepWatch,
  ): SubmittedStep {
    const counts = checkInputs(this.#encoder, inputs);
    const { workspace } = this.#slots;
    const lanes = inputs.length;
    const frames = Math.max(...counts);
    const sizes = outputs.map(({ width }) => 4 * lanes * frames * padded(width));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const readback = this.#ring.reserve(place, bytes);
    const laneInputs = inputs.map(({ state, features }, lane) => {
      return { slot: slotOf(state), frames: counts[lane], fresh: !state.started, features };
    });
    const { device, failures } = this.#context;
    workspace.upload(laneInputs, frames);
    const encoder = device.createCommandEncoder();
    workspace.record(encoder, lanes, frames, watch);
    outputs.reduce((at, { buffer }, i) => {
      encoder.copyBufferToBuffer(buffer, 0, readback, at, sizes[i]);
      return at + sizes[i];
    }, 0);
    device.queue.submit([encoder.finish()]);
    inputs.forEach(({ state }) => {
      state.advance();
    });
    return { lanes, frames, counts, bytes, failures, at: performance.now() };
  }

  /** Waits for a step and reads its outputs back, with the milliseconds that each took. */
  async #await(
    { lanes, frames, bytes, failures, at }: SubmittedStep,
    place: ReadbackPlace,
  ): Promise<{ values: Float32Array; computeMs: number; readbackMs: number }> {
    if (this.#context.polls) {
      await this.#pace.untilDue(lanes, frames);
      // With the encoder its buffers go: mapping one of them then would be an error of the whole device.
      this.check();
    }
    const pausedUntil = performance.now();
    let doneAt = Infinity;
    this.#context.device.queue.onSubmittedWorkDone().then(
      () => (doneAt = performance.now()),
      // A lost device is told by the readback.
      () => undefined,
    );
    const values = await this.#ring.read(place, bytes, failures);
    const readAt = performance.now();
    // The time that a step waited for the one before is not its own.
    const startedAt = Math.max(at, Math.min(this.#doneAt, readAt));
    this.#doneAt = Math.max(startedAt, Math.min(doneAt, readAt));
    const computeMs = this.#doneAt - startedAt;
    this.#pace.learn(lanes, frames, computeMs, this.#doneAt - pausedUntil);
    return { values, computeMs, readbackMs: Math.max(0, readAt - this.#doneAt) };
  }

  #findOutputs(read: readonly string[]): StepOutput[] {
    const known = this.#slots.workspace.outputs;
    return read.map((wanted) => {
      const output = known.find(({ name }) => name === wanted);
      if (!output) {
        throw unknownOutput(
          wanted,
          known.map(({ name }) => name),
        );
      }
      return output;
    });
  }
}

/** The slot of a stream of this encoder, which `checkInputs` has made sure of. */
function slotOf(state: StepInput['state']): number {
  return state instanceof SlotState ? state.slot : NaN;
}

/** What each stream gets of a step's outputs, which lie one behind the other, padded to lanes of as many frames. */
function resultsOf(
  values: Float32Array,
  { lanes, frames, counts }: SubmittedStep,
  outputs: readonly StepOutput[],
): StepResult[] {
  return counts.map((count, lane): StepResult => {
    let start = 0;
    const named = outputs.map(({ name, width }) => {
      const stride = padded(width);
      const output = restride(values.subarray(start + lane * frames * stride), count, width, stride, width);
      start += lanes * frames * stride;
      return [name, output] as const;
    });
    return { frames: count, outputs: Object.fromEntries(named) };
  });
}
