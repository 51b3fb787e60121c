/** Many voices: copies of the last recording, each a session of its own, as fast as they go. */
import type { Waveform } from 'rill-asr';
import { button, create, element, input } from './elements.ts';
import { kindName } from './engine.ts';
import type { DemoModel } from './model.ts';
import type { Settings } from './settings.ts';
import { say } from './strings.ts';

export class Voices {
  readonly #model: DemoModel;
  readonly #settings: Settings;
  readonly #slider = input('voices');
  readonly #button = button('run-voices');
  readonly #results = element('voices-results', HTMLUListElement);
  #recording: Waveform | undefined;
  #isUsable = false;
  /** The copies that are running, if any. */
  #running: Promise<void> | undefined;

  constructor(model: DemoModel, settings: Settings) {
    this.#model = model;
    this.#settings = settings;
    this.#slider.addEventListener('input', () => {
      this.sayAgain();
    });
    this.#button.addEventListener('click', () => {
      if (this.#recording) {
        this.#running = this.#run(this.#recording).finally(() => {
          this.#running = undefined;
          this.#enable();
        });
        this.#enable();
      }
    });
    this.sayAgain();
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves when no copies are running, well or not. */
  async finished(): Promise<void> {
    await this.#running;
  }

  setRecording(recording: Waveform): void {
    this.#recording = recording;
    this.#enable();
  }

  setUsable(isUsable: boolean): void {
    this.#isUsable = isUsable;
    this.#enable();
  }

  /** Says how many voices there will be, in the language that the page speaks now. */
  sayAgain(): void {
    this.#slider.setAttribute('aria-valuetext', String(this.#count));
    this.#button.textContent = say('voicesRun', { count: this.#count });
  }

  get #count(): number {
    return 2 ** Number(this.#slider.value);
  }

  #enable(): void {
    this.#button.disabled = !this.#isUsable || this.#running !== undefined || this.#recording === undefined;
  }

  async #run(recording: Waveform): Promise<void> {
    try {
      const count = this.#count;
      const engine = kindName(this.#model.info?.device.kind ?? 'cpu');
      const options = this.#settings.options;
      const { audioSeconds, wallSeconds } = await this.#model.client.ask('crowd', count, recording, options);
      this.#addResult(count, audioSeconds / wallSeconds, engine);
    } catch (error) {
      this.#model.fail(error);
    }
  }

  /** @param speed seconds of audio that were heard in a second */
  #addResult(count: number, speed: number, engine: string): void {
    const text = say('voicesResult', { count, engine, speed: speed.toFixed(1) });
    const item = create('li', '', text);
    const meter = create('meter');
    meter.max = Math.max(100, speed);
    meter.value = speed;
    meter.setAttribute('aria-label', text);
    item.append(meter);
    this.#results.append(item);
  }
}
