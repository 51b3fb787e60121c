import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, expectWithinShare } from '../support/close.ts';
import { expectGradients, randoms64 } from '../support/gradients.ts';
import { trainingArray, trainingJson } from '../support/training.ts';
import { ctcLoss, type Reduction } from './twins/ctc.ts';

/** The golden arrays are float32. */
const STORED = 2 ** -23;

interface Case {
  lens: number[];
  targets: number[][];
  per_utterance: number[];
  sum: number;
  mean: number;
}

let cases: Record<string, Case>;

beforeAll(async () => {
  cases = await trainingJson('ctc/loss.json');
});

describe('ctcLoss', () => {
  it.each(['ragged', 'long', 'peaked'])("equals PyTorch's float64: %s", async (name) => {
    const golden = cases[name];
    const { data: logits, shape } = await trainingArray(`ctc/${name}_logits`);
    const sizes = { frames: shape[1], vocabSize: shape[2] };
    for (const reduction of ['sum', 'mean'] satisfies Reduction[]) {
      const { losses, loss, dLogits } = ctcLoss({ logits, ...golden }, sizes, { reduction });
      expectClose(losses, golden.per_utterance, { absolute: 1e-9, relative: 1e-12 }, 'losses');
      expectClose([loss], [golden[reduction]], { absolute: 1e-9, relative: 1e-12 }, reduction);
      const { data } = await trainingArray(`ctc/${name}_d_logits_${reduction}`);
      expectWithinShare(dLogits, data, STORED, `d_logits of ${reduction}`);
    }
  });

  it('has the gradients of finite differences', () => {
    const logits = randoms64(2 * 5 * 3, 1, 2);
    const given = { lens: [5, 4], targets: [[1, 1, 2], [2]] };
    const loss = ({ logits: moved }: { logits: Float64Array }) =>
      ctcLoss({ logits: moved, ...given }, { frames: 5, vocabSize: 3 }, { reduction: 'mean' });
    expectGradients({ logits }, (moved) => loss(moved).loss, { logits: loss({ logits }).dLogits });
  });

  it('gives what does not fit no loss, or an infinite one', () => {
    const given = { logits: randoms64(2 * 3 * 3, 1), lens: [3, 3], targets: [[1, 1, 2], [1]] };
    const sizes = { frames: 3, vocabSize: 3 };
    const finite = ctcLoss(given, sizes, { reduction: 'sum' });
    expect(finite.losses[0]).toBe(0);
    expect(finite.dLogits.subarray(0, 9)).toEqual(new Float64Array(9));
    expect(finite.losses[1]).toBeGreaterThan(0);
    const infinite = ctcLoss(given, sizes, { reduction: 'sum', zeroInfinity: false });
    expect(infinite.loss).toBe(Infinity);
    expect(infinite.dLogits.subarray(0, 9)).toEqual(new Float64Array(9).fill(NaN));
    expect(infinite.dLogits.subarray(9)).toEqual(finite.dLogits.subarray(9));
  });

  it('takes an utterance without frames: certain if nothing is said, else it does not fit', () => {
    const given = { logits: [], lens: [0, 0], targets: [[], [1]] };
    const { losses } = ctcLoss(given, { frames: 0, vocabSize: 3 }, { reduction: 'sum', zeroInfinity: false });
    expect([...losses]).toEqual([0, Infinity]);
  });
});
