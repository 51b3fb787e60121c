/** What the page says of itself: a status line, what went wrong, and progress. */
import { button, element, setText } from './elements.ts';

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

  /**
   * @param share from 0 to 1; undefined for work of which nobody knows how much there is, and for work that is done but for
   * what comes behind it: a full bar would say that nothing is waited for
   * @param text beside the bar; not read out
   */
  showProgress(share?: number, text = ''): void {
    this.#progress.hidden = false;
    if (share === undefined || share >= 1) {
      this.#progress.removeAttribute('value');
    } else {
      this.#progress.value = share;
    }
    setText('progress-text', text);
  }

  hideProgress(): void {
    this.#progress.hidden = true;
    setText('progress-text', '');
  }

  /** Shows or hides a button; the focus, which would be lost with it, goes to the status line. */
  reveal(id: string, isShown: boolean): void {
    if (!isShown && document.activeElement === button(id)) {
      this.#line.focus();
    }
    button(id).hidden = !isShown;
  }
}
