/** One take from the microphone: until a pause behind what is said, or until it is stopped. */
import { Microphone, type Waveform } from 'rill-asr';
import { EndOfTake } from './end-of-take.ts';

export class TakeRecorder {
  readonly #constraints: () => MediaTrackConstraints | undefined;
  #stop: () => void = () => undefined;

  /** @param constraints what is asked of the microphone */
  constructor(constraints: () => MediaTrackConstraints | undefined) {
    this.#constraints = constraints;
  }

  /**
   * Records a take; one that is being recorded ends.
   *
   * @param onAudio called with each piece as it comes
   * @throws RillError `no-microphone`
   */
  async record(onAudio: (piece: Waveform) => void): Promise<Waveform> {
    this.stop();
    const pieces: Waveform[] = [];
    const end = new EndOfTake();
    const ended = new Promise<void>((resolve) => (this.#stop = resolve));
    const stop = this.#stop;
    using microphone = await Microphone.open({
      constraints: this.#constraints(),
      onAudio: (piece) => {
        pieces.push(piece);
        onAudio(piece);
        if (end.accept(piece)) {
          stop();
        }
      },
      onEnd: stop,
    });
    await ended;
    return { samples: joined(pieces.map(({ samples }) => samples)), sampleRate: microphone.sampleRate };
  }

  /** Ends the take that is being recorded; what was said so far is the take. */
  stop(): void {
    this.#stop();
  }
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
