import type { Timing } from '../runtime/statistics.ts';
import type { Rows } from '../terminal.ts';
import type { TrainFigures } from './bench-job.ts';
import { PHASES } from './profile.ts';

const ms = ({ medianMs, p10Ms }: Timing) => `${medianMs.toFixed(0)} (${p10Ms.toFixed(0)})`;
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
const total = (memory: Readonly<Record<string, number>>) =>
  Object.values(memory).reduce((sum, bytes) => sum + bytes, 0);

/** Steps, medians and what nine in ten stay above. */
export function stepTable(figures: readonly TrainFigures[]): Rows {
  const row = ({ name, step, forward, gradients, cold, ...rest }: TrainFigures) => [
    name,
    ms(step),
    forward ? ms(forward) : '–',
    gradients ? ms(gradients) : '–',
    forward ? ((gradients ?? step).p10Ms / forward.p10Ms).toFixed(2) : '–',
    rest.stepsPerSecond.toFixed(2),
    rest.audioSecondsPerSecond?.toFixed(1) ?? '–',
    (cold.readyMs + cold.stepMs).toFixed(0),
    megabytes(total(rest.memory)),
    rest.plannedBytes === undefined ? '–' : `${megabytes(rest.memory.activations)} of ${megabytes(rest.plannedBytes)}`,
  ];
  return [
    [
      '',
      'step ms',
      'forward',
      'with backward',
      'ratio',
      'steps/s',
      'audio s/s',
      'cold ms',
      'GPU MB',
      'activations, plan',
    ],
    ...figures.map(row),
  ];
}

/** How first steps came about, each in a process of its own. */
export function coldTable(figures: readonly TrainFigures[]): Rows {
  const row = ({ name, cold: { deviceMs = 0, readyMs, stepMs }, step }: TrainFigures) => [
    name,
    ...[deviceMs, readyMs, stepMs, deviceMs + readyMs + stepMs, step.medianMs].map((ms) => ms.toFixed(0)),
  ];
  return [
    ['first steps, cold', 'device ms', 'loading and compiling', 'first step', 'together', 'later steps'],
    ...figures.map(row),
  ];
}

/** Kernels of a step, the longest first within each part. */
export function kernelTable({ kernels = [] }: TrainFigures): Rows {
  const rows = PHASES.flatMap((phase) =>
    kernels
      .filter((each) => each.phase === phase)
      .sort((a, b) => b.ms - a.ms)
      .map(({ kernel, dispatches, ms }) => [phase, kernel, String(dispatches), ms.toFixed(1)]),
  );
  return [['', 'kernel', 'dispatches', 'ms'], ...rows];
}
