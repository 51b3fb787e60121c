/** The model that is kept in this browser: offered at the next visit, used, deleted. */
import type { ModelFiles } from 'rill-asr';
import { button, setText } from '../elements.ts';
import { say } from '../strings.ts';
import { findKept, forgetKept, keep } from './keeper.ts';
import type { TaughtModel } from './lessons.ts';
import type { TeachStatus } from './teach-status.ts';

export interface KeptHandlers {
  onUse: (taught: TaughtModel) => Promise<void>;
  /** Something else is kept than before. */
  onChange: () => void;
}

export class KeptModel {
  readonly #status: TeachStatus;
  readonly #handlers: KeptHandlers;
  #kept: TaughtModel | undefined;

  constructor(status: TeachStatus, handlers: KeptHandlers) {
    this.#status = status;
    this.#handlers = handlers;
    button('kept-use').addEventListener('click', () => this.#kept && void handlers.onUse(this.#kept));
    button('kept-delete').addEventListener('click', () => void this.#forget());
  }

  /** Looks what was kept at the last visit. */
  async look(): Promise<void> {
    this.#kept = await findKept();
  }

  /** Whether it is these files that are kept. */
  holds(files: ModelFiles): boolean {
    return this.#kept?.files === files;
  }

  /** Keeps a model, in place of the one before. */
  async keep(taught: TaughtModel): Promise<void> {
    try {
      await keep(taught);
      this.#kept = taught;
      this.#status.tell(() => say('keptNow'));
    } catch (error) {
      this.#status.warnOf(error);
    }
    this.#handlers.onChange();
  }

  /** @param loaded the files that the page runs on */
  sayAgain(loaded: ModelFiles | undefined): void {
    const isInUse = loaded !== undefined && this.holds(loaded);
    this.#status.reveal('kept', this.#kept !== undefined);
    this.#status.reveal('kept-use', !isInUse);
    setText('kept-says', this.#kept ? say(isInUse ? 'keptHere' : 'keptOffer', { name: this.#kept.name }) : '');
  }

  async #forget(): Promise<void> {
    try {
      await forgetKept();
      this.#kept = undefined;
      this.#status.tell(() => say('keptDeleted'));
    } catch (error) {
      this.#status.warnOf(error);
    }
    this.#handlers.onChange();
  }
}
