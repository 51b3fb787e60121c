/** What the page says of itself: a status line, what went wrong, and progress. */
import { button, element } from './elements.ts';

export class Status {
  readonly #line = element('status', HTMLElement);
  readonly #notice = element('notice', HTMLElement);
  readonly #progress = element('progress', HTMLProgressElement);
  #told = () => '';

  /**
   * Says something new once: screen readers read out each change.
   *
   * @param text asked again when the language changes
   */
  tell(text: () => string): void {
    this.#told = text;
    if (this.#line.textContent !== text()) {
      this.#line.textContent = text();
    }
  }

  /** Says the same in the language that the page speaks now. */
  sayAgain(): void {
    this.tell(this.#told);
  }

  get warning(): string {
    return this.#notice.textContent ?? '';
  }

  /** @param text empty where there is nothing to warn of any more */
  warn(text: string): void {
    this.#notice.textContent = text;
    this.#notice.hidden = text === '';
  }

  warnOf(error: unknown): void {
    this.warn(error instanceof Error ? error.message : String(error));
  }

  /** @param share from 0 to 1 */
  showProgress(share: number): void {
    this.#progress.value = share;
  }

  /** Shows or hides a button; the focus, which would be lost with it, goes to the status line. */
  reveal(id: string, isShown: boolean): void {
    if (!isShown && document.activeElement === button(id)) {
      this.#line.focus();
    }
    button(id).hidden = !isShown;
  }
}
