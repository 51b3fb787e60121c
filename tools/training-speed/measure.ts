import { loadavg } from 'node:os';
import type { ModelFiles } from '../../src/model/model.ts';
import type { EncoderSizes } from '../../src/model/sizes.ts';
import type { RandomSizes } from '../runtime/random-model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Progress, markdownTable, table, type Rows } from '../terminal.ts';
import type { TrainBenchInput, TrainFigures } from './bench-job.ts';
import { kernelTable, stepTable } from './train-table.ts';
import { fineTuneStep, teachStep } from './workloads.ts';

/** What of training is measured: one layer alone, a step of all, a step of teaching a phrase; and that on the CPU. */
export const TRAINED = ['layer', 'fine-tune', 'teach', 'teach-cpu'] as const;
export type Trained = (typeof TRAINED)[number];

/** @param model a folder's files, or sizes of one to make up */
export function trainingInputs(
  names: readonly Trained[],
  model: ModelFiles | RandomSizes,
  sizes: Pick<EncoderSizes, 'numEncoderLayers'>,
  seconds: number,
): TrainBenchInput[] {
  const base = { model, seconds, kernels: seconds > 0 };
  const teach = teachStep(sizes);
  const workloads = { layer: undefined, 'fine-tune': fineTuneStep(), teach, 'teach-cpu': teach };
  return names.map((name) => ({ ...base, workload: workloads[name], onCpu: name === 'teach-cpu' }));
}

/** Steps of training, one after the other. */
export async function measureTraining(runtime: Runtime, inputs: readonly TrainBenchInput[]): Promise<TrainFigures[]> {
  const figures: TrainFigures[] = [];
  for (const input of inputs) {
    const progress = new Progress('measuring training');
    figures.push(await runtime.run('trainBench', input, progress.listen).finally(() => progress.end()));
  }
  return figures;
}

/** For people. */
export function trainingReport(figures: readonly TrainFigures[], markdown: boolean): string[] {
  const shown = (rows: Rows) => (markdown ? markdownTable(rows) : table(rows));
  const kernels = figures.flatMap((each) => (each.kernels ? [`Kernels, ${each.name}`, shown(kernelTable(each))] : []));
  return [shown(stepTable(figures)), ...kernels];
}

/** For programs. */
export const trainingJson = (runtime: Runtime, figures: readonly TrainFigures[]) => ({
  ...{ device: runtime.device, runtime: runtime.name, load: loadavg()[0], training: figures },
});
