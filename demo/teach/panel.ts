/** "Teach a phrase": takes are recorded, the model is taught, tried at once, and kept or not. */
import { button, input, setText } from '../elements.ts';
import type { DropTarget } from '../drop-zone.ts';
import type { DemoModel } from '../model.ts';
import { saveFolder } from '../save.ts';
import { say } from '../strings.ts';
import { KeptModel } from './kept-model.ts';
import { isSamePhrase, type TaughtModel } from './lessons.ts';
import { School } from './school.ts';
import { TakeCollection } from './take-collection.ts';
import { TakeRecorder } from './take-recorder.ts';
import { TaughtPhrases } from './taught-phrases.ts';
import { TeachStatus } from './teach-status.ts';
import { TrainingView } from './training-view.ts';
import { TryOut } from './try-out.ts';

/** Takes that teach a phrase at least, and that do it well. */
const [FEWEST_TAKES, GOOD_TAKES] = [5, 10];

export interface TeachParts {
  model: DemoModel;
  /** What is asked of the microphone. */
  constraints: () => MediaTrackConstraints | undefined;
  /** Ends what the page listens to. */
  stopListening: () => void;
}

export class TeachPanel {
  readonly #parts: TeachParts;
  readonly #school: School;
  readonly #status = new TeachStatus();
  readonly #phrase = input('phrase');
  readonly #recorder: TakeRecorder;
  readonly #takes: TakeCollection;
  readonly #others: TakeCollection;
  readonly #training = new TrainingView(this.#status);
  readonly #phrases: TaughtPhrases;
  readonly #tryOut: TryOut;
  readonly #kept: KeptModel;
  #running: AbortController | undefined;
  #isUsable = false;

  constructor(parts: TeachParts) {
    this.#parts = parts;
    this.#school = new School(parts.model);
    this.#recorder = new TakeRecorder(parts.constraints);
    const handlers = {
      onRecord: () => {
        this.#endSound();
      },
      onChange: () => {
        this.#sayNeeds();
      },
    };
    this.#takes = new TakeCollection('takes', this.#recorder, this.#status, handlers);
    this.#others = new TakeCollection('others', this.#recorder, this.#status, handlers);
    this.#phrases = new TaughtPhrases((phrase) => void this.#unteach(phrase));
    this.#tryOut = new TryOut(this.#status, {
      constraints: parts.constraints,
      onListen: () => {
        this.#endSound();
      },
      onFalseAlarm: (phrase, waveform) => {
        this.#others.add([{ waveform, name: say('falseAlarmOf', { phrase }) }]);
        this.#status.tell(() => say('falseAlarmTaken'));
      },
    });
    this.#kept = new KeptModel(this.#status, {
      onUse: (taught) => this.#use(taught),
      onChange: () => {
        this.sayAgain();
      },
    });
    this.#phrase.addEventListener('input', () => {
      this.#sayNeeds();
    });
    button('teach-start').addEventListener('click', () => void this.#teach());
    button('teach-cancel').addEventListener('click', () => this.#running?.abort());
    button('teach-keep').addEventListener('click', () => void this.#keep());
    button('teach-download').addEventListener('click', () => void this.#download());
    button('teach-discard').addEventListener('click', () => void this.#discard());
    void this.#look();
  }

  /** Where files are dropped that are takes. */
  get dropTargets(): DropTarget[] {
    return [this.#others, this.#takes].map((each) => ({
      area: each.area,
      onFiles: (files) => void each.take(files),
    }));
  }

  /** Looks at the model that is loaded now. */
  async setModel(): Promise<void> {
    const { model } = this.#parts;
    const { loaded } = model;
    const phrases = await model.client.ask('phrases').catch(() => []);
    if (loaded !== model.loaded) {
      return;
    }
    this.#phrases.show(phrases);
    this.#tryOut.setModel(this.#school.current?.files, phrases);
    this.sayAgain();
  }

  setUsable(isUsable: boolean): void {
    this.#isUsable = isUsable;
    this.sayAgain();
  }

  /** Shows everything as it is now, in the language that the page speaks now. */
  sayAgain(): void {
    const files = this.#school.current?.files;
    const isTaught = files !== undefined && this.#phrases.all.length > 0;
    const { isFresh } = this.#school;
    this.#status.reveal('teach-form', !this.#running);
    this.#status.reveal('taught', (isTaught || isFresh) && !this.#running);
    this.#status.reveal('taught-try', isTaught);
    this.#status.reveal('teach-keep', files !== undefined && !this.#kept.holds(files));
    this.#status.reveal('teach-discard', isFresh);
    this.#kept.sayAgain(files);
    for (const part of [this.#takes, this.#others, this.#phrases, this.#training, this.#tryOut, this.#status]) {
      part.sayAgain();
    }
    this.#sayNeeds();
  }

  get #phraseText(): string {
    return this.#phrase.value.trim().replace(/\s+/g, ' ');
  }

  /** What is still missing, or how long it will take. */
  #sayNeeds(): void {
    const count = this.#takes.waveforms.length;
    const start = button('teach-start');
    start.disabled = !this.#isUsable || this.#phraseText === '' || count < FEWEST_TAKES;
    const isAgain = this.#phrases.all.some((phrase) => isSamePhrase(phrase, this.#phraseText));
    start.textContent = say(isAgain ? 'teachAgain' : 'teachStart');
    const needs = [
      this.#phraseText === '' && say('teachNeedsPhrase'),
      count < FEWEST_TAKES && say('teachNeedsTakes', { count, fewest: FEWEST_TAKES, good: GOOD_TAKES }),
      count >= FEWEST_TAKES && count < GOOD_TAKES && say('teachFewTakes', { count, good: GOOD_TAKES }),
      count >= FEWEST_TAKES && say('teachTakesTime'),
      this.#isUsable && !this.#school.canRehearse && say('teachNoRehearsal'),
    ];
    setText('teach-needs', needs.filter(Boolean).join(' '));
  }

  async #look(): Promise<void> {
    await this.#kept.look();
    this.sayAgain();
  }

  /** Ends whatever listens or records. */
  #endSound(): void {
    this.#recorder.stop();
    this.#tryOut.stop();
    this.#parts.stopListening();
  }

  async #teach(): Promise<void> {
    const phrase = this.#phraseText;
    const lesson = { phrase, takes: this.#takes.waveforms, negatives: this.#others.waveforms };
    const running = (this.#running = new AbortController());
    this.#endSound();
    this.#training.begin(phrase);
    this.sayAgain();
    button('teach-cancel').focus();
    try {
      await this.#school.teach(lesson, {
        signal: running.signal,
        onProgress: (progress) => {
          this.#training.show(progress);
        },
      });
      // What does not load is told of by the page.
      this.#status.tell(() => (this.#school.isFresh ? say('teachDone', { phrase }) : ''));
    } catch (error) {
      this.#status.tell(() => (running.signal.aborted ? say('teachCancelled') : ''));
      if (!running.signal.aborted) {
        this.#status.warnOf(error);
      }
    } finally {
      this.#running = undefined;
      this.#training.end();
      await this.setModel();
      this.#status.focus();
    }
  }

  async #unteach(phrase: string): Promise<void> {
    this.#endSound();
    try {
      await this.#school.unteach(phrase);
      this.#status.tell(() => say('untaught', { phrase }));
    } catch (error) {
      this.#status.warnOf(error);
    }
    await this.setModel();
    this.#status.focus();
  }

  /** Goes on with what was kept, its last lesson as if it had just been recorded. */
  async #use(taught: TaughtModel): Promise<void> {
    this.#endSound();
    await this.#school.use(taught);
    const lesson = taught.lessons.at(-1);
    if (lesson && this.#takes.waveforms.length === 0) {
      this.#phrase.value = lesson.phrase;
      this.#takes.add(lesson.takes.map((waveform) => ({ waveform })));
      this.#others.add(lesson.negatives.map((waveform) => ({ waveform })));
    }
    await this.setModel();
    this.#status.tell(() => say('keptInUse', { name: taught.name }));
    this.#status.focus();
  }

  async #keep(): Promise<void> {
    const { current } = this.#school;
    if (current) {
      await this.#kept.keep(current);
      if (this.#kept.holds(current.files)) {
        this.#school.settle();
      }
      this.sayAgain();
    }
  }

  async #download(): Promise<void> {
    const { current } = this.#school;
    if (current) {
      await saveFolder(current.name, current.files).catch((error: unknown) => {
        this.#status.warnOf(error);
      });
    }
  }

  async #discard(): Promise<void> {
    this.#endSound();
    await this.#school.discard();
    await this.setModel();
    this.#status.tell(() => say('discarded'));
    this.#status.focus();
  }
}
