import type { RnnEncoder } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { OnlineStream } from './stream.ts';

/** Steps for streams: which are ready, one chunk of each at a time, one call after the other. */
export class StreamEngine {
  readonly encoder: RnnEncoder;
  #chunkFrames: number;
  /** The head's output that the streams' searches read. */
  readonly input: string;
  /** Calls run one after the other; each waits for the one before, whether that failed or not. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(encoder: RnnEncoder, chunkFrames: number, input: string) {
    this.encoder = encoder;
    this.#chunkFrames = chunkFrames;
    this.input = input;
  }

  /** Encoder frames of one stream in one step. */
  get chunkFrames(): number {
    return this.#chunkFrames;
  }

  /** @throws RillError `bad-argument` beyond what the encoder was made for. */
  set chunkFrames(frames: number) {
    const { maxFrames } = this.encoder.capacity;
    if (!Number.isInteger(frames) || frames < 1 || frames > maxFrames) {
      throw new RillError('bad-argument', {
        got: `chunks of ${frames} frames`,
        expected: `1 to ${maxFrames}`,
        remedy: 'Create the recognizer with a larger maxFrames.',
      });
    }
    this.#chunkFrames = frames;
  }

  /** Whether a whole chunk waits, or, at the end of the input, any part of one. */
  isReady(stream: OnlineStream): boolean {
    return stream.framesReady >= (stream.isInputFinished ? 1 : this.chunkFrames);
  }

  /** Advances each stream that is ready by one chunk, all in one GPU step. */
  decode(streams: readonly OnlineStream[]): Promise<void> {
    const run = this.#queue.then(() => this.#decode(streams));
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #decode(streams: readonly OnlineStream[]): Promise<void> {
    streams.forEach(({ state }) => {
      state.check();
    });
    if (!streams.some((stream) => this.isReady(stream))) {
      return;
    }
    let taken: { stream: OnlineStream; first: boolean; epoch: number }[] = [];
    const prepare = () => {
      const ready = streams.filter((stream) => this.isReady(stream));
      taken = ready.map((stream) => ({ stream, first: !stream.state.started, epoch: stream.epoch }));
      return ready.map((stream) => ({
        state: stream.state,
        features: stream.nextFeatures(Math.min(this.chunkFrames, stream.framesReady)),
      }));
    };
    const { results, computeMs, readbackMs } = await this.encoder.stepLate(prepare, [this.input]);
    results.forEach(({ frames, outputs }, i) => {
      const { stream, first, epoch } = taken[i];
      // A stream that was restarted meanwhile has no use for what it said before.
      if (stream.epoch === epoch) {
        stream.accept(frames, outputs[this.input], first, { computeMs, readbackMs });
      }
    });
  }
}
