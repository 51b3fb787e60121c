/** What the panel says of itself, and what went wrong. */
import { element } from '../elements.ts';

export class TeachStatus {
  readonly #line = element('teach-status', HTMLElement);
  readonly #notice = element('teach-notice', HTMLElement);
  #told = () => '';

  /**
   * Says something new once: screen readers read out each change.
   *
   * @param text asked again when the language changes
   */
  tell(text: () => string): void {
    this.#told = text;
    this.warn('');
    this.sayAgain();
  }

  sayAgain(): void {
    if (this.#line.textContent !== this.#told()) {
      this.#line.textContent = this.#told();
    }
  }

  /** @param text empty where there is nothing to warn of any more */
  warn(text: string): void {
    this.#notice.textContent = text;
    this.#notice.hidden = text === '';
  }

  warnOf(error: unknown): void {
    this.warn(error instanceof Error ? error.message : String(error));
  }

  focus(): void {
    this.#line.focus();
  }

  /** Shows or hides a part of the panel; the focus, which would be lost with it, goes to the status line. */
  reveal(id: string, isShown: boolean): void {
    const part = element(id, HTMLElement);
    if (!isShown && part.contains(document.activeElement)) {
      this.focus();
    }
    part.hidden = !isShown;
  }
}
