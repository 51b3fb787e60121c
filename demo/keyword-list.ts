/** The list of keywords, the threshold and the boost: as keywords for every search, as hotwords for a beam's. */
import { element, input, setText } from './elements.ts';
import { plainWords } from './keyword-line.ts';
import { say } from './strings.ts';

/** How long nothing is typed before a list is looked at. */
const PAUSE_MS = 300;

export interface KeywordHandlers {
  /** @returns what is wrong with each line, as the model's keyword file has it; nothing where it is right */
  check: (lines: string[]) => Promise<string[]>;
  /** Takes the keywords as they are now. */
  onChange: (keywords: string) => Promise<void>;
}

export class KeywordList {
  readonly #list = element('keywords', HTMLTextAreaElement);
  readonly #error = element('keywords-error', HTMLElement);
  readonly #asTokens = input('as-tokens');
  readonly #threshold = input('threshold');
  readonly #boost = input('boost');
  readonly #handlers: KeywordHandlers;
  /** Lines of the keyword file by their plain words: what the model came with, and what was written as tokens. */
  readonly #written = new Map<string, string>();
  /** What is wrong with each line; nothing where it is right. */
  #wrongs: string[] = [];
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Counts changes: only the last one's errors are shown. */
  #changes = 0;

  constructor(handlers: KeywordHandlers) {
    this.#handlers = handlers;
    this.#list.addEventListener('input', () => {
      this.#changeSoon();
    });
    for (const slider of [this.#threshold, this.#boost]) {
      slider.addEventListener('input', () => {
        setText(`${slider.id}-value`, slider.value);
        this.#changeSoon();
      });
    }
    this.#asTokens.addEventListener('change', () => {
      this.#translate();
      this.sayAgain();
    });
  }

  /** The lines that the model can spell, with the slider's threshold where a line has none of its own. */
  get keywords(): string {
    return this.#rightLines
      .map((line) => (line.trim() === '' || line.includes('#') ? line : `${line} #${this.#threshold.value}`))
      .join('\n');
  }

  /** The keywords as hotwords, for searches that can favour them. */
  get hotwords(): string {
    return this.#rightLines
      .map((line) => line.replace(/[@#:].*$/, '').trim())
      .filter(Boolean)
      .map((line) => `${line} :${this.#boost.value}`)
      .join('\n');
  }

  /** Shows the list of another model. */
  show(keywords: string): void {
    this.#written.clear();
    this.#wrongs = [];
    this.#list.value = keywords.trim();
    if (!this.#asTokens.checked) {
      this.#translate();
    }
    this.sayAgain();
  }

  /** Says what is wrong, in the language that the page speaks now. */
  sayAgain(): void {
    const first = this.#wrongs.findIndex(Boolean);
    this.#error.hidden = first < 0;
    if (first < 0) {
      return;
    }
    const phrase = this.#list.value.split('\n')[first].trim();
    const wrong = this.#asTokens.checked ? this.#wrongs[first] : say('unspellable', { line: first + 1, phrase });
    this.#error.textContent = this.keywords.trim() ? `${wrong} ${say('othersCount')}` : wrong;
  }

  /** The lines as a keyword file has them. */
  get #lines(): string[] {
    const lines = this.#list.value.split('\n');
    return this.#asTokens.checked ? lines : lines.map((line) => this.#written.get(line.trim()) ?? line);
  }

  get #rightLines(): string[] {
    return this.#lines.filter((_, i) => !this.#wrongs[i]);
  }

  /** Writes the list in the other way. */
  #translate(): void {
    const lines = this.#list.value.split('\n');
    if (this.#asTokens.checked) {
      this.#list.value = lines.map((line) => this.#written.get(line.trim()) ?? line).join('\n');
    } else {
      for (const line of lines) {
        this.#written.set(plainWords(line), line);
      }
      this.#list.value = lines.map(plainWords).join('\n');
    }
    this.#list.classList.toggle('tokens', this.#asTokens.checked);
  }

  #changeSoon(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => void this.#change(), PAUSE_MS);
  }

  async #change(): Promise<void> {
    const own = ++this.#changes;
    const wrongs = await this.#handlers.check(this.#lines);
    // A later list may be right.
    if (own === this.#changes) {
      this.#wrongs = wrongs;
      this.sayAgain();
      await this.#handlers.onChange(this.keywords);
    }
  }
}
