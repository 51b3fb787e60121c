/** Steps of some sizes, of whoever takes part, in turns; in a page and in Node. */
import type { Model } from '../../src/model/model.ts';
import type { EncoderSizes } from '../../src/model/sizes.ts';
import type { Create } from './contenders.ts';
import { NAMES, OF_ONE_STREAM, type Word } from './lineup.ts';
import { openPeak } from './peak.ts';
import type { StepSize } from './step-size.ts';
import { F32_TOLERANCE, INT8_TOLERANCE, compareAt, type Competitor, type Figures } from './turns.ts';

export interface Comparison {
  sizes: EncoderSizes;
  /** Of the peers, by name. */
  versions: Readonly<Record<string, string>>;
  steps: {
    size: StepSize;
    figures: Figures[];
    /** What a core could do at most in WebAssembly, in GFLOP/s, measured after each round. */
    peaks: number[];
  }[];
}

export interface CompareSettings {
  rounds: number;
  /** Whether devices tell of finished work late here. */
  reportsLate: boolean;
  /** Called after each round. */
  onProgress: (done: number, total: number) => Promise<void>;
}

/** Compares at one size after the other; who cannot be made here, or at a size, is left out of it. */
export async function compareSteps(
  model: Model,
  who: readonly Word[],
  creators: Readonly<Partial<Record<Word, Create>>>,
  sizes: readonly StepSize[],
  { rounds, reportsLate, onProgress }: CompareSettings,
): Promise<Omit<Comparison, 'versions'>> {
  const measurePeak = await openPeak();
  const steps: Comparison['steps'] = [];
  let done = 0;
  for (const size of sizes) {
    const competitors = who.flatMap((word): Competitor[] => {
      const create = size.streams > 1 && OF_ONE_STREAM.has(word) ? undefined : creators[word];
      const tolerance = word === 'rill-int8' ? INT8_TOLERANCE : F32_TOLERANCE;
      return create ? [{ name: NAMES[word], create, tolerance, asksByItself: word === 'rill-webgpu' }] : [];
    });
    const peaks: number[] = [];
    const figures = await compareAt(model, size, competitors, {
      rounds,
      reportsLate,
      onRound: async () => {
        peaks.push(...measurePeak());
        await onProgress(++done, rounds * sizes.length);
      },
    });
    steps.push({ size, figures, peaks });
  }
  return { sizes: model.sizes.encoder, steps };
}
