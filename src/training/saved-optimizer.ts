import { RillError } from '../errors.ts';
import { elementCount, shapeText, type TensorSource } from '../model/tensors.ts';

/** What an optimizer remembers beside the weights: what it is saved as, and goes on from. */
export interface SavedOptimizer {
  /**
   * In C order, in float32: `exp_avg.NAME` and `exp_avg_sq.NAME` of each parameter that is trained, by icefall's names. Of one in
   * the scaled parametrisation its log-scale `scale.NAME`, and that one's moments, `exp_avg.scale.NAME` and
   * `exp_avg_sq.scale.NAME`. With an average `model_avg.NAME`.
   */
  tensors: TensorSource;
  /** Steps taken. */
  taken: number;
  /** Its state to the bit, as words; what `taken` alone tells without them. */
  words?: readonly number[];
}

/** Words of optimizer_state.wgsl's State. */
export const STATE_WORDS = 8;

/** The state behind so many steps. */
export function stateWords(
  { taken, words }: SavedOptimizer,
  betas: readonly [number, number],
): Uint32Array<ArrayBuffer> {
  if (words) {
    return Uint32Array.from(words);
  }
  const floats = Float32Array.of(1, 0, ...betas.map((beta) => 1 - beta ** taken), 0, 0, 0, 0);
  const state = new Uint32Array(floats.buffer);
  state[4] = taken;
  return state;
}

/** @throws RillError `bad-argument` for a state that is none. */
export function checkState({ taken, words }: SavedOptimizer): void {
  const isWord = (word: number) => Number.isInteger(word) && word >= 0 && word < 2 ** 32;
  if (!isWord(taken) || (words && !(words.length === STATE_WORDS && words.every(isWord) && words[4] === taken))) {
    throw new RillError('bad-argument', {
      got: `an optimizer's state of ${taken} steps in ${words?.length ?? 0} words`,
      expected: `a whole number of steps, and ${STATE_WORDS} words that have it`,
      remedy: 'Go on from what an optimizer saved, without changes.',
    });
  }
}

/** Reads a tensor of a given shape. @throws RillError `bad-argument` where there is none. */
export async function readSaved(
  { tensors }: SavedOptimizer,
  name: string,
  shape: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const info = tensors.tensors.get(name);
  if (!info || info.unreadable !== undefined || elementCount(info.shape) !== elementCount(shape)) {
    throw new RillError('bad-argument', {
      got: info ? `${name} of shape ${shapeText(info.shape)}` : `no ${name} among what was saved`,
      expected: `${name} of shape ${shapeText(shape)}`,
      remedy:
        'Go on with the model, the trainable parameters and the parametrisation that the training was saved with.',
    });
  }
  return tensors.read(name);
}

/** Tensors that are there already. */
export const heldTensors = (
  held: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array<ArrayBuffer> }>,
): TensorSource => ({
  tensors: new Map(Array.from(held, ([name, { shape }]) => [name, { dtype: 'F32', shape }])),
  read(name) {
    const values = held.get(name)?.values;
    return values ? Promise.resolve(values) : Promise.reject(new RangeError(`no tensor ${name}`));
  },
});
