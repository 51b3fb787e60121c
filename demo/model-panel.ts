/** What is loaded, by name and in figures, and what can be done with it. */
import { BUNDLED } from './bundled.ts';
import { button, setText } from './elements.ts';
import type { DemoModel } from './model.ts';
import { saveFolder } from './save.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

export class ModelPanel {
  readonly #model: DemoModel;
  readonly #status: Status;

  constructor(model: DemoModel, status: Status) {
    this.#model = model;
    this.#status = status;
    button('save').addEventListener('click', () => void this.#save());
    button('bundled').addEventListener('click', () => void model.load(BUNDLED));
  }

  /** Shows what is loaded, in the language that the page speaks now. */
  sayAgain(): void {
    const { info, loaded } = this.#model;
    if (!info || !loaded) {
      return;
    }
    const { numEncoderLayers: layers, dModel: width } = info.sizes.encoder;
    const bytes = Object.values(info.memory).reduce((sum, part) => sum + part, 0);
    const parameters = Object.values(info.parameters)
      .reduce((sum, count) => sum + count, 0)
      .toLocaleString();
    setText('weights', info.dtype);
    setText('memory', `${(bytes / 1e6).toFixed(1)} MB`);
    setText('parameters', parameters);
    setText('model-name', say('converted', { name: loaded.name, parameters, layers, width }));
    const isBundled = loaded.source === BUNDLED.source;
    this.#status.reveal('save', !isBundled);
    this.#status.reveal('bundled', !isBundled);
  }

  async #save(): Promise<void> {
    const { loaded } = this.#model;
    if (typeof loaded?.source === 'object') {
      await saveFolder(loaded.name, loaded.source).catch((error: unknown) => {
        this.#model.fail(error);
      });
    }
  }
}
