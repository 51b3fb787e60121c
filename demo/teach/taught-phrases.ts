/** The phrases that the loaded model was taught, each to be taken out. */
import { create, element } from '../elements.ts';
import { say } from '../strings.ts';

export class TaughtPhrases {
  readonly #list = element('taught-phrases', HTMLUListElement);
  readonly #onUnteach: (phrase: string) => void;
  #phrases: readonly string[] = [];

  constructor(onUnteach: (phrase: string) => void) {
    this.#onUnteach = onUnteach;
  }

  get all(): readonly string[] {
    return this.#phrases;
  }

  show(phrases: readonly string[]): void {
    this.#phrases = phrases;
    this.sayAgain();
  }

  sayAgain(): void {
    this.#list.replaceChildren(
      ...this.#phrases.map((phrase) => {
        const unteach = create('button', 'quiet', say('unteach'));
        unteach.type = 'button';
        unteach.setAttribute('aria-label', say('unteachPhrase', { phrase }));
        unteach.addEventListener('click', () => {
          unteach.disabled = true;
          this.#onUnteach(phrase);
        });
        const item = create('li', '', phrase);
        item.append(unteach);
        return item;
      }),
    );
  }
}
