import type { Dataset } from '../../src/training/trainer/dataset.ts';
import type { Trainer } from '../../src/training/trainer/trainer.ts';
import { Progress } from '../terminal.ts';

/** The losses of a trainer's steps. */
export async function lossesOf(trainer: Trainer, dataset: Dataset): Promise<number[]> {
  const losses: number[] = [];
  const progress = new Progress('training');
  try {
    await trainer.train(dataset, {
      onStep({ step, totalSteps, loss }) {
        losses.push(loss);
        progress.update(step, totalSteps, `step ${step}/${totalSteps}, loss ${loss.toFixed(4)}`);
      },
    });
  } finally {
    progress.end();
  }
  return losses;
}

/** The largest difference of two curves, as a share of the second, and the step that it is at. */
export function apart(got: readonly number[], expected: readonly number[]): { difference: number; step: number } {
  const shares = expected.map((loss, i) => Math.abs(got[i] - loss) / Math.abs(loss));
  // What is not a number counts as far apart.
  const difference = shares.reduce((most, share) => (share <= most ? most : share), 0);
  return { difference, step: shares.indexOf(difference) + 1 };
}
