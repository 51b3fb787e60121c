/** The list of keywords, the threshold and the boost: as keywords for every search, as hotwords for a beam's. */
import { element, input, setText } from './elements.ts';

export class KeywordList {
  readonly #list = element('keywords', HTMLTextAreaElement);
  readonly #error = element('keywords-error', HTMLElement);
  readonly #threshold = input('threshold');
  readonly #boost = input('boost');
  /** Counts changes: only the last one's error is shown. */
  #changes = 0;

  /** @param onChange takes the keywords as they are now; rejects with what is wrong with them */
  constructor(onChange: (keywords: string) => Promise<void>) {
    const change = () => void this.#change(onChange);
    this.#list.addEventListener('input', change);
    for (const slider of [this.#threshold, this.#boost]) {
      slider.addEventListener('input', () => {
        setText(`${slider.id}-value`, slider.value);
        change();
      });
    }
  }

  /** The keyword list with the slider's threshold where a line has none of its own. */
  get keywords(): string {
    return this.#lines
      .map((line) => (line.trim() === '' || line.includes('#') ? line : `${line} #${this.#threshold.value}`))
      .join('\n');
  }

  /** The keywords as hotwords, for searches that can favour them. */
  get hotwords(): string {
    return this.#lines
      .map((line) => line.replace(/[@#:].*$/, '').trim())
      .filter(Boolean)
      .map((line) => `${line} :${this.#boost.value}`)
      .join('\n');
  }

  /** Shows the list of another model. */
  show(keywords: string): void {
    this.#list.value = keywords.trim();
  }

  get #lines(): string[] {
    return this.#list.value.split('\n');
  }

  async #change(onChange: (keywords: string) => Promise<void>): Promise<void> {
    const own = ++this.#changes;
    this.#error.hidden = true;
    try {
      await onChange(this.keywords);
    } catch (error) {
      // A later list may be right.
      if (own === this.#changes) {
        this.#error.textContent = error instanceof Error ? error.message : String(error);
        this.#error.hidden = false;
      }
    }
  }
}
