/** Recordings as a source: played and heard at the speed of speech, or heard as fast as it goes. */
import type { Waveform, WorkerStream } from 'rill-asr';
import type { Recording } from './bundled.ts';
import { input } from './elements.ts';
import { decodeAudio, playAudio } from './files.ts';
import type { Listening, Turn } from './listening.ts';
import type { DemoModel } from './model.ts';
import type { Panels } from './panels.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';

/** How often a recording is handed over, as a microphone would. */
const PIECE_SECONDS = 0.04;
/** How far a recording that goes as fast as it can is handed over ahead of what is decoded. */
const SECONDS_AHEAD = 5;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export interface RecordingsParts {
  model: DemoModel;
  listening: Listening;
  panels: Panels;
  status: Status;
}

export class Recordings {
  readonly #parts: RecordingsParts;
  readonly #onAudio: (audio: Waveform) => void;
  readonly #realTime = input('real-time');

  /** @param onAudio called with a whole recording when it begins to be heard */
  constructor(parts: RecordingsParts, onAudio: (audio: Waveform) => void) {
    this.#parts = parts;
    this.#onAudio = onAudio;
  }

  /** Listens to a recording until its end, and says what was heard. */
  async listen({ name, load, label }: Recording): Promise<void> {
    const { model, listening, status } = this.#parts;
    if (!model.info) {
      status.warn(say('noModel'));
      return;
    }
    const turn = listening.begin(name);
    let audio: Waveform;
    try {
      audio = await decodeAudio(await load());
    } catch {
      if (turn.isCurrent) {
        listening.abandon();
        status.warn(say('notAudio', { name }));
      }
      return;
    }
    try {
      const stream = await listening.open(turn, label);
      if (stream) {
        await this.#hear(name, audio, turn, stream);
      }
    } catch (error) {
      listening.fail(turn, error);
    }
  }

  async #hear(name: string, audio: Waveform, turn: Turn, stream: WorkerStream): Promise<void> {
    const { listening, panels, status } = this.#parts;
    this.#onAudio(audio);
    const realTime = this.#realTime.checked;
    if (realTime) {
      turn.cut = playAudio(audio).stop;
    }
    status.tell(() => say('listeningTo', { name }));
    await this.#push(audio, turn, stream, realTime);
    // It may have been stopped before its end.
    if (turn.stream) {
      await stream.finish();
    }
    if (turn.stream) {
      listening.end();
      const { text } = panels;
      status.tell(() => (text ? say('heardIn', { name, text }) : say('heardNothing', { name })));
    }
  }

  /** Hands a recording over in pieces, each at its time or all as fast as it goes, until it is stopped. */
  async #push({ samples, sampleRate }: Waveform, turn: Turn, stream: WorkerStream, realTime: boolean): Promise<void> {
    const { panels, status } = this.#parts;
    const piece = Math.ceil(PIECE_SECONDS * sampleRate);
    const started = performance.now();
    const seconds = samples.length / sampleRate;
    for (let at = 0; at < samples.length; at += piece) {
      const part = samples.subarray(at, at + piece);
      const ahead = (at + part.length) / sampleRate - (performance.now() - started) / 1000;
      if (realTime && ahead > 0) {
        await pause(1000 * ahead);
      }
      while (!realTime && turn.stream && at / sampleRate - turn.decoded > SECONDS_AHEAD) {
        await pause(20);
      }
      if (!turn.stream) {
        return;
      }
      panels.addAudio({ samples: part, sampleRate });
      stream.push({ samples: part, sampleRate, capturedAt: performance.timeOrigin + performance.now() });
      status.showProgress(realTime ? (at + part.length) / samples.length : turn.decoded / seconds);
    }
    status.showProgress(1);
  }
}
