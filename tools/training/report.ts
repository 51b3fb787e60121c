import type { LogEntry } from '../../src/training/trainer/checkpoint.ts';
import type { EvaluationReport, StepReport } from '../../src/training/trainer/runs.ts';
import { curves } from '../plot.ts';
import { percent } from '../terminal.ts';

/** How fast a training is: of its last steps. */
const REMEMBERED = 20;

/** Follows a training: its curve, how fast it is, and how long it will take. */
export class TrainingReport {
  readonly #losses: [step: number, loss: number][] = [];
  readonly #validations: [step: number, loss: number][] = [];
  readonly #recent: { at: number; seconds: number }[] = [{ at: performance.now(), seconds: 0 }];
  skipped = 0;

  /** @param log of the training before, where it goes on */
  constructor(log: readonly LogEntry[] = []) {
    for (const { step, lossPerFrame, evalLoss } of log) {
      if (lossPerFrame !== undefined) {
        this.#losses.push([step, lossPerFrame]);
      }
      if (evalLoss !== undefined) {
        this.#validations.push([step, evalLoss]);
      }
    }
  }

  /** @returns a line on the step */
  stepped(report: StepReport): string {
    const { step, totalSteps, epoch, lossPerFrame, learningRate, gradNorm, isSkipped, audioSeconds } = report;
    this.#losses.push([step, lossPerFrame]);
    this.skipped += isSkipped ? 1 : 0;
    this.#recent.push({ at: performance.now(), seconds: audioSeconds });
    this.#recent.splice(0, this.#recent.length - REMEMBERED - 1);
    const [first, ...others] = this.#recent;
    const elapsed = (others[others.length - 1].at - first.at) / 1000;
    const speed = others.reduce((sum, { seconds }) => sum + seconds, 0) / elapsed;
    const left = ((totalSteps - step) * elapsed) / others.length;
    return [
      `step ${step}/${totalSteps}`,
      `epoch ${epoch.toFixed(2)}`,
      `loss ${lossPerFrame.toFixed(4)} a frame`,
      `norm ${gradNorm.toFixed(2)}${isSkipped ? ' (skipped)' : ''}`,
      `rate ${learningRate.toExponential(2)}`,
      `${speed.toFixed(1)} s of audio a second`,
      `${duration(left)} left`,
    ].join(', ');
  }

  /** @returns a line on the validation */
  validated({ step, lossPerFrame, wordErrorRate, isBest }: EvaluationReport): string {
    this.#validations.push([step, lossPerFrame]);
    const best = isBest ? ', the best so far' : '';
    return `validation at step ${step}: loss ${lossPerFrame.toFixed(4)} a frame, word error rate ${percent(wordErrorRate, 1)}${best}`;
  }

  get lastLoss(): number {
    return this.#losses.at(-1)?.[1] ?? NaN;
  }

  /** The curve, as SVG. */
  plot(): string {
    const lines = [{ name: 'training', points: this.#losses }];
    const more = this.#validations.length > 0 ? [{ name: 'validation', points: this.#validations }] : [];
    return curves({ x: 'steps', y: 'loss a frame' }, [...lines, ...more], { isLinear: true });
  }
}

/** `3:07`, or `1:02:07` from an hour on. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
