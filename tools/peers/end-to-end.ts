/** Rill and sherpa-onnx from samples to text, in turns over one recording. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportSherpaOnnx } from '../../src/checkpoint/export-onnx.ts';
import type { Model } from '../../src/model/model.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { writeFolder } from '../files.ts';
import { type Timing, timingOf } from '../runtime/statistics.ts';
import { hearByRill, hearBySherpa, hearBySherpaWasm, type Hearer } from './hearers.ts';

/** Encoder frames that all of them take at a time. */
const FRAMES = [1, 4] as const;
/** Runs that are not counted: code is compiled, and made faster, as it runs. */
const WARM_UP = 3;

export interface HeardFigures {
  name: string;
  frames: number;
  text: string;
  /** Why there are no times. */
  problem?: string;
  /** Of the whole recording. */
  times?: Timing & { realTimeFactor: number };
}

/** Native first: the others' times are held against it, and texts against Rill's. */
async function openAll(model: Model, folder: string, frames: number): Promise<Hearer[]> {
  await writeFolder(folder, { ...(await exportSherpaOnnx(model, { frames })) });
  return [
    await hearByRill(model, frames, { dtype: 'f32' }),
    await hearByRill(model, frames, { dtype: 'int8' }),
    hearBySherpa(model, folder, frames),
    hearBySherpaWasm(model, folder, frames),
  ];
}

/**
 * Hears the recording by each of them in turns.
 *
 * @returns figures for each number of frames; without times for who has heard another text than Rill in f32
 */
export async function hearInTurns(
  model: Model,
  recording: Waveform,
  rounds: number,
  onProgress: (done: number, total: number) => void,
): Promise<HeardFigures[]> {
  const figures: HeardFigures[] = [];
  const seconds = recording.samples.length / recording.sampleRate;
  const scratch = await mkdtemp(join(tmpdir(), 'rill-peers-'));
  try {
    for (const [i, frames] of FRAMES.entries()) {
      const hearers = await openAll(model, join(scratch, `${frames}`), frames);
      const texts: string[] = [];
      for (const hearer of hearers) {
        texts.push(await hearer.hear(recording));
        for (let n = 1; n < WARM_UP; n++) {
          await hearer.hear(recording);
        }
      }
      const times = hearers.map((): number[] => []);
      for (let round = 0; round < rounds; round++) {
        for (const [n, hearer] of hearers.entries()) {
          const start = performance.now();
          await hearer.hear(recording);
          times[n].push(performance.now() - start);
          // Native objects that are not used any more are freed between turns of the event loop.
          await new Promise((resolve) => setImmediate(resolve));
        }
        onProgress(i * rounds + round + 1, FRAMES.length * rounds);
      }
      hearers.forEach((hearer, n) => {
        const isSame = texts[n] === texts[0];
        figures.push({
          name: hearer.name,
          frames,
          text: texts[n],
          ...(isSame ? { times: timesOf(times[n], seconds) } : { problem: `heard ${JSON.stringify(texts[n])}` }),
        });
        hearer.dispose();
      });
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
  return figures;
}

function timesOf(times: readonly number[], seconds: number): HeardFigures['times'] {
  const timing = timingOf(times);
  return { ...timing, realTimeFactor: timing.medianMs / 1000 / seconds };
}
