import { RillError } from '../errors.ts';
import { WEIGHT_DTYPES, storedDtype, type WeightDtype } from '../model/dtypes.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, type ModelSizes } from '../model/sizes.ts';
import { requireFinite, type TensorSource } from '../model/tensors.ts';
import type { Encoder, EncoderCapacity, EncoderOptions, StepInput } from './encoder.ts';

/** What every engine checks alike: capacity, dtype and the inputs of a step. */

const DEFAULT_CAPACITY = { maxStreams: 16, maxFrames: 16 };
const LARGEST_CAPACITY = { maxStreams: 4096, maxFrames: 128 };

/** What a device has room for. */
export interface DeviceRoom {
  /** Streams' states. */
  streams: number;
  /** Lanes of a step of so many frames each. */
  lanes(maxFrames: number): number;
}

/** Fills in defaults; lanes are by default as many as the device has room for. @throws RillError `bad-argument`. */
export function resolveCapacity(
  { maxStreams = DEFAULT_CAPACITY.maxStreams, maxFrames = DEFAULT_CAPACITY.maxFrames, maxLanes }: EncoderOptions,
  room: DeviceRoom,
): EncoderCapacity {
  const check = (key: string, value: number, largest: number) => {
    if (!Number.isInteger(value) || value < 1 || value > largest) {
      throw new RillError('bad-argument', {
        got: `${key}: ${value}`,
        expected: `a whole number from 1 to ${largest}`,
        remedy: 'Choose how many streams run at a time, and how many 40 ms frames of each in one step.',
      });
    }
  };
  check('maxStreams', maxStreams, Math.min(LARGEST_CAPACITY.maxStreams, room.streams));
  check('maxFrames', maxFrames, LARGEST_CAPACITY.maxFrames);
  const fitting = Math.max(1, Math.floor(room.lanes(maxFrames)));
  check('maxLanes', maxLanes ?? fitting, maxLanes === undefined ? Infinity : fitting);
  return { maxStreams, maxFrames, maxLanes: Math.min(maxLanes ?? fitting, maxStreams) };
}

/** @throws RillError `bad-argument`. */
export function resolveDtype(dtype: WeightDtype | 'auto' = 'auto', { tensors }: TensorSource): WeightDtype {
  if (dtype === 'auto') {
    return storedDtype(tensors);
  }
  if (!WEIGHT_DTYPES.includes(dtype)) {
    throw new RillError('bad-argument', {
      got: `dtype: ${JSON.stringify(dtype)}`,
      expected: `auto, ${WEIGHT_DTYPES.join(', ')}`,
      remedy: 'Leave it out to take the weights as the model folder has them.',
    });
  }
  return dtype;
}

/** @throws RillError `bad-argument` for a step of nobody. */
export function requireInputs(inputs: readonly StepInput[]): void {
  if (inputs.length === 0) {
    throw new RillError('bad-argument', {
      got: 'a step without inputs',
      expected: 'at least one stream’s chunk',
      remedy: 'Call step when a stream has features.',
    });
  }
}

/**
 * Checks a step's inputs, each and together.
 *
 * @returns encoder frames that each brings
 * @throws RillError `bad-argument`, `closed`, what a stream's place was taken for.
 */
export function checkInputs(encoder: Encoder, inputs: readonly StepInput[]): number[] {
  const counts = inputs.map((input) => checkInput(encoder, input));
  const { maxLanes } = encoder.capacity;
  if (inputs.length > maxLanes) {
    throw new RillError('bad-argument', {
      got: `${inputs.length} streams in one step`,
      expected: `at most ${maxLanes}`,
      remedy: 'Advance them in several steps, or create the encoder with a larger maxLanes.',
    });
  }
  const distinct = new Set(inputs.map(({ state }) => state)).size;
  if (distinct < inputs.length || inputs.some(({ state }) => state.encoder !== encoder)) {
    throw new RillError('bad-argument', {
      got: `${inputs.length} inputs for ${distinct} streams`,
      expected: 'each stream of this encoder once',
      remedy: 'Give each stream one chunk per step.',
    });
  }
  return counts;
}

function checkInput({ sizes: { numFeatures }, capacity }: Encoder, { state, features }: StepInput): number {
  state.check();
  if (!(features instanceof Float32Array)) {
    throw new RillError('bad-argument', {
      got: `features in ${Object.prototype.toString.call(features)}`,
      expected: 'a Float32Array',
      remedy: 'Convert them with Float32Array.from.',
    });
  }
  const rows = features.length / numFeatures;
  const frames = (rows - (state.started ? 0 : CONTEXT_FRAMES)) / SUBSAMPLING_FACTOR;
  if (!Number.isInteger(frames) || frames < 1 || frames > capacity.maxFrames) {
    const form = state.started ? '4n' : '4n + 5';
    throw new RillError('bad-argument', {
      got: `${features.length} feature values, ${rows} frames of ${numFeatures}, for a ${state.started ? 'running' : 'new'} stream`,
      expected: `${form} frames of ${numFeatures} mel bins, n from 1 to ${capacity.maxFrames}`,
      remedy: 'Pass whole chunks; the first one of a stream brings 5 frames of context more.',
    });
  }
  requireFiniteFeatures('a stream', features, numFeatures);
  return frames;
}

/**
 * One value that is not finite would make all that comes after it in its stream so.
 *
 * @param whose that the features, (frames, num_features), are of
 * @throws RillError `bad-argument` naming frame and bin.
 */
export function requireFiniteFeatures(whose: string, features: Float32Array, numFeatures: number): void {
  const place = (index: number) => `frame ${Math.floor(index / numFeatures)}, mel bin ${index % numFeatures}`;
  requireFinite('bad-argument', `the features of ${whose}`, features, place);
}

/** @throws RillError `bad-argument` for an output that nobody gives. */
export function unknownOutput(wanted: string, known: readonly string[]): RillError {
  return new RillError('bad-argument', {
    got: `the output ${JSON.stringify(wanted)}`,
    expected: known.join(' or '),
    remedy: 'Ask for it by provide() first.',
  });
}

/** @throws RillError `busy`. */
export function requireFreeStream(taken: number, { maxStreams }: EncoderCapacity): void {
  if (taken >= maxStreams) {
    throw new RillError('busy', {
      got: `stream number ${maxStreams + 1} of this model`,
      expected: `at most ${maxStreams} at a time (maxStreams)`,
      remedy: 'End a stream that is no longer needed, or load the model with a larger maxStreams.',
    });
  }
}

/** What whoever uses an encoder that has ended is told. */
export function encoderClosed(): RillError {
  return new RillError('closed', {
    got: 'a recognizer, keyword spotter or encoder that was disposed of',
    expected: 'an open one',
    remedy: 'Create a new one, or dispose of it later.',
  });
}

/** The classes of a CTC head. @throws RillError `bad-model` when the model has none. */
export function requireCtc({ hasCtc, vocabSize }: ModelSizes): { vocabSize: number } {
  if (!hasCtc || vocabSize === undefined) {
    throw new RillError('bad-model', {
      got: 'a model without ctc_output.1.weight',
      expected: 'a CTC head',
      remedy: 'Use a checkpoint that was trained with a CTC head.',
    });
  }
  return { vocabSize };
}

/** The sizes of decoder and joiner. @throws RillError `bad-model` when the model has none. */
export function requireTransducer({
  transducer,
  vocabSize,
}: ModelSizes): NonNullable<ModelSizes['transducer']> & { vocabSize: number } {
  if (!transducer || vocabSize === undefined) {
    throw noTransducer();
  }
  return { ...transducer, vocabSize };
}

/** @internal */
export function noTransducer(): RillError {
  return new RillError('bad-model', {
    got: 'a model without decoder and joiner',
    expected: 'a transducer head',
    remedy: 'Use a checkpoint of the whole transducer, or decode with ctc_greedy.',
  });
}
