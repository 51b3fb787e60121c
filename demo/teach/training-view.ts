/** Teaching as one sees it: what is done now, how much of it, how long it still takes, the loss. */
import type { TeachProgress } from 'rill-asr/training';
import { element, setText } from '../elements.ts';
import type { Key } from '../english.ts';
import { say } from '../strings.ts';
import { LossCurve } from './loss-curve.ts';
import type { TeachStatus } from './teach-status.ts';
import { TimeLeft } from './time-left.ts';

const STAGES: Readonly<Record<TeachProgress['stage'], Key>> = {
  prepare: 'teachPreparing',
  train: 'teachTraining',
  resume: 'teachResuming',
};

export class TrainingView {
  readonly #box = element('teach-training', HTMLElement);
  readonly #bar = element('teach-progress', HTMLProgressElement);
  readonly #curve = new LossCurve(element('teach-loss', HTMLCanvasElement));
  readonly #timeLeft = new TimeLeft();
  readonly #status: TeachStatus;
  #phrase = '';
  #progress: TeachProgress | undefined;

  constructor(status: TeachStatus) {
    this.#status = status;
  }

  begin(phrase: string): void {
    this.#phrase = phrase;
    this.#progress = undefined;
    this.#timeLeft.clear();
    this.#curve.clear();
    this.#bar.removeAttribute('value');
    this.#box.hidden = false;
    this.#status.tell(() => say('teachOpening'));
    this.sayAgain();
  }

  show(progress: TeachProgress): void {
    const { stage, done, total } = progress;
    if (stage !== this.#progress?.stage) {
      this.#timeLeft.clear();
      this.#status.tell(() => say(STAGES[stage], { phrase: this.#phrase, done }));
    }
    this.#progress = progress;
    this.#timeLeft.add(done, performance.now());
    this.#bar.value = done / total;
    if (stage === 'train') {
      this.#curve.add(done, progress.loss, total);
    }
    this.sayAgain();
  }

  end(): void {
    this.#box.hidden = true;
  }

  sayAgain(): void {
    const progress = this.#progress;
    if (!progress) {
      setText('teach-done', '');
      setText('teach-left', say('teachLeftUnknown'));
      return;
    }
    const { stage, done, total } = progress;
    setText('teach-done', say(stage === 'prepare' ? 'teachRecordings' : 'teachSteps', { done, total }));
    const seconds = this.#timeLeft.seconds(total);
    setText('teach-left', stage === 'train' && seconds !== undefined ? leftWords(seconds) : say('teachLeftUnknown'));
  }
}

/** A time in words that do not change with every step. */
export function leftWords(seconds: number): string {
  return seconds < 90
    ? say('secondsLeft', { count: Math.max(5, 5 * Math.ceil(seconds / 5)) })
    : say('minutesLeft', { count: Math.ceil(seconds / 60) });
}
