/** Takes away what was heard: into the clipboard, or as a file. */
import { button, element } from './elements.ts';
import { saveFile } from './save.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';
import { formatTranscript, TRANSCRIPT_FORMATS, type Said } from './transcript.ts';

/** How long the button says that it has copied. */
const COPIED_MS = 2000;

export class TranscriptButtons {
  readonly #row = element('transcript', HTMLElement);
  readonly #copy = button('copy');
  readonly #status: Status;

  /** @param segments what was heard until now */
  constructor(segments: () => readonly Said[], status: Status) {
    this.#status = status;
    this.#copy.addEventListener('click', () => void this.#copyText(formatTranscript('txt', segments())));
    for (const format of TRANSCRIPT_FORMATS) {
      button(`download-${format}`).addEventListener('click', () => {
        saveFile(`transcript.${format}`, formatTranscript(format, segments()));
      });
    }
    this.sayAgain();
  }

  /** Offers them while there is something to take. */
  reveal(isShown: boolean): void {
    this.#row.hidden = !isShown;
  }

  sayAgain(): void {
    for (const format of TRANSCRIPT_FORMATS) {
      button(`download-${format}`).setAttribute('aria-label', say('download', { format }));
      button(`download-${format}`).title = say('download', { format });
    }
  }

  async #copyText(text: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.#copy.textContent = say('copied');
      setTimeout(() => (this.#copy.textContent = say('copy')), COPIED_MS);
    } catch {
      // Pages that are not secure, or where it is forbidden.
      getSelection()?.selectAllChildren(element('text', HTMLElement));
      this.#status.tell(() => say('copyByHand'));
    }
  }
}
