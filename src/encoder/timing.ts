import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import type { Encoder } from './encoder.ts';
import { ENCODER_OUT } from './outputs.ts';
import type { StreamState } from './state.ts';

/** Log-mel energies of no sound in particular. */
export const madeUpFeatures = (length: number) => Float32Array.from({ length }, (_, i) => 4 * Math.sin(i * i) - 8);

/** What is timed. */
export interface TimedSteps {
  streams: number;
  /** Encoder frames of each stream. */
  frames: number;
  /** How often, after a first step that brings the context and warms up. */
  steps: number;
  /** After this long no further step is begun, but one is always timed. */
  budgetMs?: number;
  /** Output that is read; `encoder_out` by default. */
  read?: string;
}

/**
 * Milliseconds of steps from features to results. Takes free places for streams meanwhile.
 *
 * @throws RillError `busy` without a free place, `device-lost`, `gpu`, `no-memory`.
 */
export async function timeSteps(
  encoder: Encoder,
  { streams, frames, steps, budgetMs = Infinity, read = ENCODER_OUT }: TimedSteps,
): Promise<number[]> {
  const states: StreamState[] = [];
  const times: number[] = [];
  try {
    while (states.length < streams) {
      states.push(encoder.createState());
    }
    const step = async (rows: number) => {
      const features = madeUpFeatures(rows * encoder.sizes.numFeatures);
      const start = performance.now();
      await encoder.step(
        states.map((state) => ({ state, features })),
        [read],
      );
      return performance.now() - start;
    };
    const rows = SUBSAMPLING_FACTOR * frames;
    const startedAt = performance.now();
    await step(CONTEXT_FRAMES + rows);
    do {
      times.push(await step(rows));
    } while (times.length < steps && performance.now() - startedAt < budgetMs);
    return times;
  } finally {
    states.forEach((state) => {
      state.dispose();
    });
  }
}
