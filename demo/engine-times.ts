/** What a chunk takes on each engine, side by side: measured when asked for, while nothing else is heard. */
import type { DeviceInfo } from 'rill-asr';
import { button, create, element, setText } from './elements.ts';
import { ENGINE_KINDS, kindName, whatIsMissing } from './engine.ts';
import type { DemoModel } from './model.ts';
import { say } from './strings.ts';
import type { EngineTime, TimingWanted } from './timing.ts';

type Kind = DeviceInfo['kind'];

/** What was measured. */
interface Measured {
  wanted: Omit<TimingWanted, 'kind'>;
  /** By engine; an error where it is not there. */
  times: Map<Kind, EngineTime | Error>;
}

const titleOf = (kind: Kind, device: string) =>
  device.startsWith(kindName(kind)) ? device : `${kindName(kind)}: ${device}`;

export class EngineTimes {
  readonly #model: DemoModel;
  readonly #chunkFrames: () => number;
  readonly #isHearing: () => boolean;
  readonly #button = button('time-engines');
  readonly #list = element('engine-times', HTMLElement);
  #measured: Measured | undefined;
  #isUsable = false;
  /** Says why nothing is measured. */
  #refusal = () => '';
  #running: Promise<void> | undefined;

  /**
   * @param chunkFrames encoder frames of a chunk now
   * @param isHearing whether something is heard, which measuring would disturb, and which would show in the figures
   */
  constructor(model: DemoModel, chunkFrames: () => number, isHearing: () => boolean) {
    this.#model = model;
    this.#chunkFrames = chunkFrames;
    this.#isHearing = isHearing;
    this.#button.addEventListener('click', () => {
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
        this.sayAgain();
      });
      this.sayAgain();
    });
    this.sayAgain();
  }

  /** Resolves when nothing is measured. */
  async finished(): Promise<void> {
    await this.#running;
  }

  /** Forgets the figures of the model before. */
  clear(): void {
    this.#measured = undefined;
    this.#refusal = () => '';
    this.sayAgain();
  }

  setUsable(isUsable: boolean): void {
    this.#isUsable = isUsable;
    this.sayAgain();
  }

  /** Shows what was measured, in the language that the page speaks now. */
  sayAgain(): void {
    this.#button.disabled = !this.#isUsable || this.#running !== undefined;
    this.#list.replaceChildren(...ENGINE_KINDS.map((kind) => this.#row(kind)));
    setText('engine-times-of', this.#refusal() || this.#summary());
  }

  async #run(): Promise<void> {
    const { info, client } = this.#model;
    if (!info) {
      return;
    }
    const wanted = { dtype: info.dtype, frames: this.#chunkFrames() };
    this.#refusal = () => '';
    const times: Measured['times'] = new Map();
    this.#measured = { wanted, times };
    for (const kind of ENGINE_KINDS) {
      if (this.#isHearing()) {
        this.#refusal = () => say('timeLater');
        return;
      }
      // Another model is on its way: its figures are others.
      if (!this.#isUsable) {
        return;
      }
      try {
        times.set(kind, await client.ask('timeEngine', { kind, ...wanted }));
      } catch (error) {
        times.set(kind, error instanceof Error ? error : new Error(String(error)));
        if (whatIsMissing(error) === undefined) {
          this.#model.fail(error);
        }
      }
      this.sayAgain();
    }
  }

  #summary(): string {
    if (!this.#measured || this.#running) {
      return say(this.#running ? 'timing' : 'timeHelp');
    }
    const { frames, dtype } = this.#measured.wanted;
    return say('timedChunk', { frames, dtype });
  }

  #row(kind: Kind): HTMLElement {
    const time = this.#measured?.times.get(kind);
    const isTimed = time !== undefined && !(time instanceof Error);
    const row = create('div');
    row.append(
      create('dt', '', isTimed ? titleOf(kind, time.name) : kindName(kind)),
      create('dd', isTimed ? 'measured' : '', isTimed ? `${time.ms.toFixed(2)} ms` : (whatIsMissing(time) ?? '–')),
    );
    return row;
  }
}
