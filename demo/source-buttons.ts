/** The buttons of what can be listened to: the microphone and the bundled recordings. One of them is pressed at most. */
import { button, create, element, setText } from './elements.ts';
import { say } from './strings.ts';

export class SourceButtons {
  readonly #microphone = button('microphone');
  readonly #recordings = element('clips', HTMLElement);
  readonly #onStop: () => void;
  #pressed: string | undefined;
  #isUsable = false;

  /** @param onStop called where what is pressed is pressed again; the microphone's button stops every source */
  constructor({ onMicrophone, onStop }: { onMicrophone: () => void; onStop: () => void }) {
    this.#onStop = onStop;
    this.#microphone.addEventListener('click', () => {
      (this.#pressed === undefined ? onMicrophone : onStop)();
    });
  }

  /** Adds a button for each recording. */
  addRecordings<Recording extends { name: string }>(
    recordings: readonly Recording[],
    onRecording: (recording: Recording) => void,
  ): void {
    const buttons = recordings.map((recording) => {
      const made = create('button', '', recording.name);
      made.type = 'button';
      made.disabled = !this.#isUsable;
      made.addEventListener('click', () => {
        if (this.#pressed === recording.name) {
          this.#onStop();
        } else {
          onRecording(recording);
        }
      });
      return made;
    });
    this.#recordings.append(...buttons);
  }

  /** @param name of what is listened to, which may have no button */
  press(name: string | undefined): void {
    this.#pressed = name;
    this.#microphone.classList.toggle('hearing', name !== undefined);
    for (const each of this.#recordings.querySelectorAll('button')) {
      each.setAttribute('aria-pressed', String(each.textContent === name));
    }
    this.sayAgain();
  }

  setUsable(isUsable: boolean): void {
    this.#isUsable = isUsable;
    this.#microphone.disabled = !isUsable;
    for (const each of this.#recordings.querySelectorAll('button')) {
      each.disabled = !isUsable;
    }
  }

  /** Says what the microphone's button does in the language that the page speaks now. */
  sayAgain(): void {
    setText('microphone-says', say(this.#pressed === undefined ? 'microphone' : 'stop'));
  }
}
