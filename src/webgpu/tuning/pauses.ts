import type { Model } from '../../model/model.ts';
import type { TensorSource } from '../../model/tensors.ts';

/** When work that is in no hurry may go on. */
export interface Pauses {
  /** Resolves when nobody waits for the device. @throws when the work is to end */
  moment(): Promise<void>;
  /** How much other work was begun so far: what was timed while it grew does not count. */
  readonly begun: number;
  /** Whether the work is to end. */
  readonly ended: boolean;
}

/** For work that everybody waits for. */
export const NO_PAUSES: Pauses = { moment: async () => undefined, begun: 0, ended: false };

/** A model whose tensors are read one by one, each when there is time for it: whoever reads one packs it right after. */
export function readInPauses(model: Model, pauses: Pauses): Model {
  const { weights } = model;
  const { readInt8, readF16 } = weights;
  const later =
    <Read>(read: (name: string) => Promise<Read>) =>
    async (name: string): Promise<Read> => {
      await pauses.moment();
      return read.call(weights, name);
    };
  const source: TensorSource = {
    tensors: weights.tensors,
    read: later(weights.read),
    readInt8: readInt8 && later(readInt8),
    readF16: readF16 && later(readF16),
  };
  return { ...model, weights: source };
}
