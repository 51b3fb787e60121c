/** Which engine runs and why, and what can be done with it. */
import { button, setText } from './elements.ts';
import { engineWords } from './engine.ts';
import type { DemoModel } from './model.ts';
import type { Status } from './status.ts';

export class EnginePanel {
  readonly #model: DemoModel;
  readonly #status: Status;

  constructor(model: DemoModel, status: Status) {
    this.#model = model;
    this.#status = status;
    button('lose').addEventListener('click', () => {
      model.client.ask('loseDevice').catch((error: unknown) => {
        model.fail(error);
      });
    });
  }

  /** Shows what runs, in the language that the page speaks now. */
  sayAgain(): void {
    const { info } = this.#model;
    setText('runs-on', info ? engineWords(info).runsOn : '');
    // The CPU cannot be lost.
    this.#status.reveal('lose', info?.device.kind === 'webgpu');
  }

  setUsable(isUsable: boolean): void {
    button('lose').disabled = !isUsable;
  }
}
