/** The microphone as a source: until it is stopped or goes away. */
import { Microphone } from 'rill-asr';
import type { Listening, Turn } from './listening.ts';
import { MicrophonePicker } from './microphone-picker.ts';
import type { Panels } from './panels.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

export class MicrophoneSource {
  readonly picker = new MicrophonePicker(() => void this.#change());
  readonly #listening: Listening;
  readonly #panels: Panels;
  readonly #status: Status;
  #turn: Turn | undefined;

  constructor(listening: Listening, panels: Panels, status: Status) {
    this.#listening = listening;
    this.#panels = panels;
    this.#status = status;
  }

  async listen(): Promise<void> {
    const turn = (this.#turn = this.#listening.begin('microphone'));
    await this.#try(turn, async () => {
      if (await this.#listening.open(turn)) {
        await this.#connect(turn);
      }
      if (turn.stream) {
        this.#status.tell(() => say('listeningMicrophone'));
      }
    });
  }

  /** Goes on with another microphone; what was heard stays. */
  async #change(): Promise<void> {
    const turn = this.#turn;
    if (turn?.stream) {
      await this.#try(turn, () => this.#connect(turn));
    }
  }

  /** Opens the microphone that is chosen, in place of the one before. */
  async #connect(turn: Turn): Promise<void> {
    const microphone = await Microphone.open({
      constraints: this.picker.constraints,
      onAudio: (chunk) => {
        if (turn.stream) {
          this.#panels.addAudio(chunk);
          turn.stream.push(chunk);
        }
      },
      onSilence: (silent) => {
        if (silent || this.#status.warning === say('silence')) {
          this.#status.warn(silent ? say('silence') : '');
        }
      },
      onEnd: () => {
        this.#listening.stop();
        this.#status.warn(say('microphoneEnded'));
      },
    });
    if (!turn.stream) {
      microphone.close();
      return;
    }
    turn.cut();
    turn.cut = () => {
      microphone.close();
    };
    await this.picker.refresh();
  }

  async #try(turn: Turn, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      this.#listening.fail(turn, error);
    }
  }
}
