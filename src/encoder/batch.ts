import { RillError } from '../errors.ts';
import { CONTEXT_FRAMES, MIN_FEATURE_FRAMES, SUBSAMPLING_FACTOR, encoderFrames } from '../model/sizes.ts';
import { requireFiniteFeatures } from './checks.ts';
import { clockTick } from './clock.ts';
import type { Encoder, StepResult } from './encoder.ts';
import { ENCODER_OUT } from './outputs.ts';
import { requireFiniteStates, type StateValues, type StreamState } from './state.ts';
import { timeSteps } from './timing.ts';

export interface BatchOptions {
  /**
   * Encoder frames of each utterance in one step, all lanes side by side. By default as many, and as many lanes, as
   * keep a step to about a second on this adapter, so that long files neither trip a browser's watchdog nor hold up
   * others: found while it runs.
   */
  chunkFrames?: number;
  /** States to start each utterance from; zero by default. */
  states?: readonly StateValues[];
  /** Called after each step with the encoder frames done and their total. */
  onStep?: (done: number, total: number) => void;
}

/** A batch of whole utterances, padded. */
export interface EncodedBatch {
  /** (utterances, frames, d_model), zero beyond an utterance's length. */
  encoderOut: Float32Array<ArrayBuffer>;
  /** Encoder frames of each utterance. */
  lengths: number[];
  /** Frames of the longest utterance. */
  frames: number;
  /** Final states of each utterance. */
  states: StateValues[];
}

/** What a step of a batch may take, and the rows (lanes x frames) that the first one has. */
const STEP_MS = 1000;
const FIRST_ROWS = 16;
/** Steps that are submitted before the results of the first have come back. */
const STEPS_AHEAD = 2;

/** An utterance in a lane. */
interface Member {
  utterance: number;
  /** Encoder frames of it. */
  count: number;
  state: StreamState;
}

/**
 * Encodes whole utterances, as many side by side as the encoder has lanes.
 *
 * @param features (utterances, feature frames, num_features), padded
 * @param lengths feature frames of each utterance, at least 9
 * @throws RillError `bad-argument`, also for features and states that are not finite (nothing has changed then), `busy` without a free slot, `device-lost`, `gpu`.
 */
export async function encodeBatch(
  encoder: Encoder,
  features: Float32Array,
  lengths: readonly number[],
  options: BatchOptions = {},
): Promise<EncodedBatch> {
  const { dModel } = encoder.sizes;
  // The lengths may come from a file: they are checked before anything is made after them.
  checkBatch(encoder, features, lengths, options);
  const frames = lengths.map(encoderFrames);
  const longest = frames.reduce((longest, count) => Math.max(longest, count), 0);
  const encoderOut = new Float32Array(lengths.length * longest * dModel);
  const onResult = (utterance: number, at: number, { outputs }: StepResult) => {
    encoderOut.set(outputs[ENCODER_OUT], (utterance * longest + at) * dModel);
  };
  const states = await runBatch(encoder, features, lengths, options, [ENCODER_OUT], onResult);
  return { encoderOut, lengths: frames, frames: longest, states };
}

/**
 * Runs whole utterances like {@link encodeBatch} and hands over what each step gives.
 *
 * @param read names of the outputs to read back
 * @param onResult called with the utterance, the encoder frame that a chunk starts with, and its result
 * @returns the final states of each utterance
 */
export async function runBatch(
  encoder: Encoder,
  features: Float32Array,
  lengths: readonly number[],
  options: BatchOptions,
  read: readonly string[],
  onResult: (utterance: number, at: number, result: StepResult) => void,
): Promise<StateValues[]> {
  const { numFeatures } = encoder.sizes;
  const { maxFrames } = encoder.capacity;
  const stride = checkBatch(encoder, features, lengths, options);
  const frames = lengths.map(encoderFrames);
  const total = frames.reduce((sum, count) => sum + count, 0);
  const states: StateValues[] = [];
  const { chunkFrames, states: initial, onStep } = options;
  const group = Math.max(1, encoder.freeLanes);
  const underWay: Promise<void>[] = [];
  let rows = FIRST_ROWS;
  let done = 0;
  let lastAt = 0;
  /** Submits a step over some of the utterances, as soon as there are few enough before it. */
  const advance = async (members: readonly Member[], at: number, chunk: number) => {
    const inputs = members.map(({ utterance, count, state }) => {
      // The first chunk brings the left context; later chunks continue behind it.
      const start = utterance * stride + SUBSAMPLING_FACTOR * at + (at === 0 ? 0 : CONTEXT_FRAMES);
      const stop = utterance * stride + SUBSAMPLING_FACTOR * Math.min(at + chunk, count) + CONTEXT_FRAMES;
      return { state, features: features.subarray(start * numFeatures, stop * numFeatures) };
    });
    const submittedAt = performance.now();
    const before = underWay.at(-1);
    const step = encoder.step(inputs, read).then(async (results) => {
      // Steps may come back otherwise than they were submitted; a decoder wants them in their order.
      await before;
      results.forEach((result, i) => {
        onResult(members[i].utterance, at, result);
        done += result.frames;
      });
      onStep?.(done, total);
      // The time that it waited for the one before is not its own.
      const now = performance.now();
      const ms = now - Math.max(submittedAt, lastAt);
      lastAt = now;
      const had = members.length * Math.max(...results.map((result) => result.frames));
      if (2 * had >= rows || ms > STEP_MS) {
        // At most twice as many as before: the time of few says little about that of many.
        rows = Math.max(1, Math.min(Math.floor((STEP_MS * had) / ms), 2 * had));
      }
    });
    step.catch(() => undefined);
    underWay.push(step);
    if (underWay.length >= STEPS_AHEAD) {
      await underWay.shift();
    }
  };
  // One group after another in the same slots, which nobody else can take meanwhile.
  const slots: StreamState[] = [];
  try {
    while (slots.length < Math.min(group, lengths.length)) {
      slots.push(encoder.createState());
    }
    for (let first = 0; first < lengths.length; first += group) {
      const members = frames.slice(first, first + group).map((count, i): Member => {
        return { utterance: first + i, count, state: slots[i] };
      });
      for (const { utterance, state } of members) {
        if (first > 0) {
          state.reset();
        }
        if (initial) {
          state.write(initial[utterance]);
        }
      }
      const end = Math.max(...members.map(({ count }) => count));
      for (let at = 0; at < end;) {
        const active = members.filter(({ count }) => at < count);
        const chunk = chunkFrames ?? Math.max(1, Math.min(Math.floor(rows / active.length), maxFrames));
        for (let next = 0; next < active.length;) {
          const lanes = chunkFrames === undefined ? rows : active.length;
          await advance(active.slice(next, next + lanes), at, chunk);
          next += lanes;
        }
        at += chunk;
      }
      await Promise.all(underWay);
      underWay.length = 0;
      for (const { state } of members) {
        states.push(await state.read());
      }
    }
  } finally {
    await Promise.allSettled(underWay);
    slots.forEach((state) => {
      state.dispose();
    });
  }
  return states;
}

/** A larger batch has to bring this much more per second to be worth its memory. */
const MIN_GAIN = 1.1;
const MEASURED_STEPS = 2;
const MEASURED_FRAMES = 2;

/**
 * The number of utterances side by side that gets most done on this adapter: steps of 1, 2, 4, … lanes are timed, up to
 * the encoder's capacity, until more lanes bring nothing, or would take more memory than they may or the device has.
 * Takes free slots for the time of the measurement.
 *
 * @param memoryBytes GPU memory for states and activations that the encoder may grow to; it keeps what it has already
 * @throws RillError `busy` without a free slot, `device-lost`, `gpu`.
 */
export async function findBatchSize(encoder: Encoder, { memoryBytes }: { memoryBytes: number }): Promise<number> {
  const frames = Math.min(MEASURED_FRAMES, encoder.capacity.maxFrames);
  const limit = Math.max(1, encoder.freeLanes);
  let best = { lanes: 1, rate: 0 };
  for (let lanes = 1; lanes <= limit; lanes *= 2) {
    if (lanes > 1 && encoder.memoryFor(lanes) > memoryBytes) {
      break;
    }
    try {
      const shortest = Math.min(...(await timeSteps(encoder, { streams: lanes, frames, steps: MEASURED_STEPS })));
      const rate = lanes / Math.max(shortest, clockTick());
      if (rate < MIN_GAIN * best.rate) {
        break;
      }
      best = { lanes, rate };
    } catch (error) {
      if (lanes > 1 && error instanceof RillError && (error.code === 'gpu' || error.code === 'no-memory')) {
        // The device has no memory for more.
        break;
      }
      throw error;
    }
  }
  return best.lanes;
}

/** Feature frames that each utterance of a padded batch takes up. */
function checkBatch(
  { sizes: { numFeatures }, capacity: { maxFrames } }: Encoder,
  features: Float32Array,
  lengths: readonly number[],
  { chunkFrames = maxFrames, states }: BatchOptions,
): number {
  const stride = features.length / numFeatures / lengths.length;
  if (lengths.length === 0 || !Number.isInteger(stride)) {
    throw new RillError('bad-argument', {
      got: `${features.length} feature values for ${lengths.length} utterances`,
      expected: `(utterances, frames, ${numFeatures}) values`,
      remedy: `Check that the features have ${numFeatures} mel bins and are padded to one length.`,
    });
  }
  for (const [i, length] of lengths.entries()) {
    if (!Number.isInteger(length) || length < MIN_FEATURE_FRAMES || length > stride) {
      throw new RillError('bad-argument', {
        got: `a length of ${length} feature frames for utterance ${i}`,
        expected: `${MIN_FEATURE_FRAMES} to ${stride}`,
        remedy: 'One encoder frame sees 9 feature frames (90 ms); a length counts frames of the padded array.',
      });
    }
  }
  if (!Number.isInteger(chunkFrames) || chunkFrames < 1 || chunkFrames > maxFrames) {
    throw new RillError('bad-argument', {
      got: `chunks of ${chunkFrames} frames`,
      expected: `1 to ${maxFrames}`,
      remedy: 'Choose how many 40 ms frames run in one step, or create the encoder with a larger maxFrames.',
    });
  }
  if (states && states.length !== lengths.length) {
    throw new RillError('bad-argument', {
      got: `states of ${states.length} utterances`,
      expected: `${lengths.length}, one for each`,
      remedy: 'Give each utterance its states, or none.',
    });
  }
  // Numbers behind an utterance's end may be anything: they are not looked at.
  for (const [i, length] of lengths.entries()) {
    const start = i * stride * numFeatures;
    requireFiniteFeatures(`utterance ${i}`, features.subarray(start, start + length * numFeatures), numFeatures);
  }
  states?.forEach(requireFiniteStates);
  return stride;
}
