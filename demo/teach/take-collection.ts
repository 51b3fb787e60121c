/** Takes of one thing: spoken into the microphone, chosen or dropped as files; heard again, deleted. */
import type { Waveform } from 'rill-asr';
import type { TakeProblem } from 'rill-asr/training';
import { button, element, input, setText } from '../elements.ts';
import type { Key } from '../english.ts';
import { decodeAudio } from '../files.ts';
import { Level } from '../level.ts';
import { say } from '../strings.ts';
import { TakeList, type NewTake } from './take-list.ts';
import type { TakeRecorder } from './take-recorder.ts';
import type { TeachStatus } from './teach-status.ts';
import { TakesView, reasonFor } from './takes-view.ts';

/** What is collected: takes of the phrase, and what must not be taken for it. Each is refused for other problems. */
const KINDS = {
  takes: { refusals: ['silent', 'clipped', 'too-short', 'too-long', 'several'], record: 'takeRecord' },
  others: { refusals: ['silent'], record: 'othersRecord' },
} as const satisfies Record<string, { refusals: readonly TakeProblem[]; record: Key }>;

export interface CollectionHandlers {
  /** The microphone is about to be opened. */
  onRecord: () => void;
  onChange: () => void;
}

/** A collection's controls, made of the page's template; their ids begin with what is collected. */
function controlsOf(kind: keyof typeof KINDS): DocumentFragment {
  const controls = document.importNode(element('take-controls', HTMLTemplateElement).content, true);
  for (const each of controls.querySelectorAll<HTMLElement>('[data-part]')) {
    each.id = `${kind}-${each.dataset.part}`;
  }
  return controls;
}

export class TakeCollection {
  /** Files that are dropped in here are takes. */
  readonly area: HTMLElement;
  readonly #kind: keyof typeof KINDS;
  readonly #recorder: TakeRecorder;
  readonly #status: TeachStatus;
  readonly #handlers: CollectionHandlers;
  readonly #list: TakeList;
  readonly #view: TakesView;
  readonly #button: HTMLButtonElement;
  readonly #level: Level;
  #isRecording = false;

  /** @param kind which is what the ids of its elements begin with, too */
  constructor(kind: keyof typeof KINDS, recorder: TakeRecorder, status: TeachStatus, handlers: CollectionHandlers) {
    this.#kind = kind;
    this.#recorder = recorder;
    this.#status = status;
    this.#handlers = handlers;
    this.#list = new TakeList(KINDS[kind].refusals);
    this.area = element(`${kind}-area`, HTMLElement);
    this.area.append(controlsOf(kind));
    this.#button = button(`${kind}-record`);
    this.#level = new Level(element(`${kind}-level`, HTMLMeterElement), this.#button);
    this.#view = new TakesView(element(`${kind}-takes`, HTMLOListElement), (id) => {
      this.#remove(id);
    });
    this.#button.addEventListener('click', () => {
      if (this.#isRecording) {
        this.#recorder.stop();
      } else {
        void this.#record();
      }
    });
    const chooser = input(`${kind}-files`);
    chooser.addEventListener('change', () => {
      void this.take([...(chooser.files ?? [])]);
      chooser.value = '';
    });
    this.sayAgain();
  }

  /** Those that can be used. */
  get waveforms(): readonly Waveform[] {
    return this.#list.fit;
  }

  /** Takes recordings in. */
  add(takes: readonly NewTake[]): void {
    const refused = this.#list.add(takes);
    this.#changed();
    const problem = this.#list.all.at(-1)?.problem;
    this.#status.tell(() =>
      refused > 0
        ? say('takesRefused', { count: refused, reason: problem ? reasonFor(problem) : '' })
        : say('takesTaken', { count: this.#list.fit.length }),
    );
  }

  /** Takes files in; those that are no audio are told of. */
  async take(files: readonly File[]): Promise<void> {
    const decoded: NewTake[] = [];
    for (const file of files) {
      try {
        decoded.push({ name: file.name, waveform: await decodeAudio(await file.arrayBuffer()) });
      } catch {
        this.#status.warn(say('notAudio', { name: file.name }));
      }
    }
    if (decoded.length > 0) {
      this.add(decoded);
    }
  }

  sayAgain(): void {
    const next = { number: this.#list.fit.length + 1 };
    setText(`${this.#kind}-record-says`, this.#isRecording ? say('stop') : say(KINDS[this.#kind].record, next));
    this.#view.show(this.#list.all);
  }

  async #record(): Promise<void> {
    this.#handlers.onRecord();
    this.#setRecording(true);
    try {
      let isHeard = false;
      const waveform = await this.#recorder.record(({ samples }) => {
        if (!isHeard) {
          isHeard = true;
          this.#status.tell(() => say('takeSpeak'));
        }
        this.#level.add(samples);
      });
      if (waveform.samples.length > 0) {
        this.add([{ waveform }]);
      }
    } catch (error) {
      this.#status.warnOf(error);
    } finally {
      this.#level.clear();
      this.#setRecording(false);
    }
  }

  #setRecording(isRecording: boolean): void {
    this.#isRecording = isRecording;
    this.#button.classList.toggle('hearing', isRecording);
    this.sayAgain();
  }

  #remove(id: number): void {
    const index = this.#list.all.findIndex((each) => each.id === id);
    this.#list.remove(id);
    this.#changed();
    if (!this.#view.focus(index)) {
      this.#button.focus();
    }
  }

  #changed(): void {
    this.sayAgain();
    this.#handlers.onChange();
  }
}
