/** Teaches the model of the page phrases, takes them out again, and remembers from which recordings. */
import type { ModelFiles } from 'rill-asr';
import type { DemoModel, ModelChoice } from '../model.ts';
import {
  isSamePhrase,
  rehearsalOf,
  untaught,
  withLesson,
  withoutLesson,
  type Lesson,
  type Schooling,
  type TaughtModel,
} from './lessons.ts';
import { askTeacher, type TeacherHandlers } from './teacher.ts';

const SPEECH = 'negatives/speech.wav';

/** For tests: `?teach-steps=8` teaches in fewer steps than the recipe has. */
const steps = Number(new URLSearchParams(location.search).get('teach-steps')) || undefined;

/** The address of a model folder, for a worker that lies elsewhere than the page, or its files. */
const addressOf = ({ source }: ModelChoice) =>
  typeof source === 'string' ? new URL(source, document.baseURI).href : source;

/** What a taught model is called, and its download: after its phrases. */
const nameOf = (lessons: readonly Lesson[]) => lessons.map(({ phrase }) => phrase).join(', ') || 'wake-words';

/** What a model has become; it is kept nowhere yet. */
interface Change {
  taught: TaughtModel;
  /** The phrase that was taught last; absent where one was taken out. */
  phrase?: string;
  /** The model that it was taught to. */
  from: ModelChoice;
  /** The model before all changes that are kept nowhere. */
  before: ModelChoice;
}

export class School {
  readonly #model: DemoModel;
  readonly #taught = new WeakMap<ModelFiles, TaughtModel>();
  #fresh: Change | undefined;

  constructor(model: DemoModel) {
    this.#model = model;
  }

  /** The model that is loaded, where it is one with files of its own. */
  get current(): TaughtModel | undefined {
    const { loaded } = this.#model;
    if (typeof loaded?.source !== 'object') {
      return undefined;
    }
    const { source: files, name } = loaded;
    return this.#taught.get(files) ?? { ...untaught(loaded), files, name };
  }

  /** Whether what is loaded was changed here, and is kept nowhere. */
  get isFresh(): boolean {
    return this.#fresh !== undefined && this.#fresh.taught.files === this.#model.loaded?.source;
  }

  /** Whether there are recordings of what the loaded model knows. */
  get canRehearse(): boolean {
    const { isFromBundled, lessons } = this.#schooling(this.#loaded);
    return isFromBundled || lessons.length > 0;
  }

  /**
   * Teaches a phrase, and loads what comes of it. A phrase that has just been taught is taught anew, to the model that was there
   * before.
   *
   * @throws what the library says; what the signal is aborted with
   */
  async teach(lesson: Lesson, handlers: TeacherHandlers): Promise<void> {
    const from = this.#fromFor(lesson.phrase);
    const { isFromBundled, lessons } = this.#schooling(from);
    const files = await askTeacher(
      {
        verb: 'teach',
        source: addressOf(from),
        phrase: lesson.phrase,
        recordings: lesson.takes,
        negatives: lesson.negatives,
        rehearsal: await rehearsalOf({ isFromBundled, lessons }, lesson.phrase),
        speech: new URL(SPEECH, document.baseURI).href,
        steps,
      },
      handlers,
    );
    await this.#change(from, files, { isFromBundled, lessons: withLesson(lessons, lesson) }, lesson.phrase);
  }

  /** Takes a phrase out, and loads what is left. @throws what the library says */
  async unteach(phrase: string): Promise<void> {
    const from = this.#loaded;
    const { isFromBundled, lessons } = this.#schooling(from);
    const files = await askTeacher({ verb: 'unteach', source: addressOf(from), phrase });
    await this.#change(from, files, { isFromBundled, lessons: withoutLesson(lessons, phrase) });
  }

  /** Loads a model that was kept. */
  async use(taught: TaughtModel): Promise<void> {
    this.#taught.set(taught.files, taught);
    await this.#model.load({ source: taught.files, name: taught.name });
  }

  /** What is loaded is kept: there is nothing to discard any more. */
  settle(): void {
    this.#fresh = undefined;
  }

  /** Goes back to the model that was there before. */
  async discard(): Promise<void> {
    const before = this.#fresh?.before;
    this.#fresh = undefined;
    if (before) {
      await this.#model.load(before);
    }
  }

  get #loaded(): ModelChoice {
    const { loaded } = this.#model;
    if (!loaded) {
      throw new Error('There is no model to teach.');
    }
    return loaded;
  }

  /** The model to teach a phrase to. */
  #fromFor(phrase: string): ModelChoice {
    const change = this.isFresh ? this.#fresh : undefined;
    return change?.phrase !== undefined && isSamePhrase(change.phrase, phrase) ? change.from : this.#loaded;
  }

  #schooling(choice: ModelChoice): Schooling {
    return (typeof choice.source === 'object' && this.#taught.get(choice.source)) || untaught(choice);
  }

  async #change(from: ModelChoice, files: ModelFiles, schooling: Schooling, phrase?: string): Promise<void> {
    const taught = { ...schooling, files, name: nameOf(schooling.lessons) };
    const before = (this.isFresh && this.#fresh?.before) || from;
    this.#taught.set(files, taught);
    this.#fresh = { taught, phrase, from, before };
    await this.#model.load({ source: files, name: taught.name });
  }
}
