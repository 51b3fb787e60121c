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

/** How a recording ended: heard to its end, left before that, or not to be decoded; and what was heard until then. */
export interface Outcome {
  end: 'heard' | 'left' | 'unreadable';
  text: string;
}

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
  async listen({ name, load, label }: Recording): Promise<Outcome> {
    const { model, listening, status } = this.#parts;
    const left: Outcome = { end: 'left', text: '' };
    if (!model.info) {
      status.warn(say('noModel'));
      return left;
    }
    const turn = listening.begin(name);
    let audio: Waveform;
    try {
      audio = await decodeAudio(await load());
    } catch {
      if (!turn.isCurrent) {
        return left;
      }
      listening.abandon();
      status.warn(say('notAudio', { name }));
      return { end: 'unreadable', text: '' };
    }
    try {
      const stream = await listening.open(turn, label);
      return stream ? await this.#hear(name, audio, turn, stream) : left;
    } catch (error) {
      listening.fail(turn, error);
      return left;
    }
  }

  async #hear(name: string, audio: Waveform, turn: Turn, stream: WorkerStream): Promise<Outcome> {
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
    if (!turn.stream) {
      return { end: 'left', text: turn.isCurrent ? panels.text : '' };
    }
    listening.end();
    const { text } = panels;
    status.tell(() => (text ? say('heardIn', { name, text }) : say('heardNothing', { name })));
    return { end: 'heard', text };
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
  }
}
