import type { Encoder } from '../encoder/encoder.ts';
import type { HeadOutput } from '../encoder/outputs.ts';
import { RillError } from '../errors.ts';
import type { OnlineStream } from './stream.ts';

/** What a step took of a stream. */
interface Taken {
  stream: OnlineStream;
  /** Values of features. */
  values: number;
  epoch: number;
}

const pausesOf = (streams: readonly OnlineStream[]) => streams.flatMap(({ pause }) => pause ?? []);

/**
 * Steps for streams: which are ready, one chunk of each at a time. Calls are submitted in order and may overlap: on a
 * GPU the next step runs while the results of the one before are read back. Results arrive in order.
 */
export class StreamSteps {
  readonly encoder: Encoder;
  #chunkFrames: number;
  /** The output that the streams' searches read. */
  readonly input: HeadOutput;
  /** The call before: its results are handed out first, whether it failed or not. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(encoder: Encoder, chunkFrames: number, input: HeadOutput) {
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
    const asked = stream.chunksAsked * this.chunkFrames;
    return stream.framesReady - asked >= (stream.isInputFinished ? 1 : this.chunkFrames);
  }

  /** Whether all of a stream's audio was decoded and no more can come. */
  hasEnded(stream: OnlineStream): boolean {
    return stream.isInputFinished && !stream.isUnderWay && !this.isReady(stream);
  }

  /**
   * Advances each stream that is ready by one chunk, in one GPU step, or more where there are more streams than lanes.
   * Returns when the results of this call and of all before it are there. A failure in one stream's search is thrown
   * once the others have theirs.
   */
  async decode(streams: readonly OnlineStream[]): Promise<void> {
    for (let pauses = pausesOf(streams); pauses.length > 0; pauses = pausesOf(streams)) {
      await Promise.all(pauses);
    }
    streams.forEach((stream) => {
      stream.check();
    });
    const { maxLanes } = this.encoder.capacity;
    const ready = streams.filter((stream) => this.isReady(stream));
    const steps = Array.from({ length: Math.ceil(ready.length / maxLanes) }, (_, i) =>
      this.#step(ready.slice(i * maxLanes, (i + 1) * maxLanes)),
    );
    const last = this.#last;
    const outcomes = await Promise.allSettled(steps);
    await last;
    const failed = outcomes.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      throw failed.reason;
    }
  }

  /** Does something with a stream while no step over it is under way; steps that are asked for meanwhile wait. */
  async whilePaused<Done>(stream: OnlineStream, act: () => Promise<Done>): Promise<Done> {
    const before = stream.pause;
    const acting = this.#afterSteps(stream, before).then(act);
    const pause = acting.catch(() => undefined);
    stream.pause = pause;
    try {
      return await acting;
    } finally {
      if (stream.pause === pause) {
        stream.pause = undefined;
      }
    }
  }

  async #afterSteps(stream: OnlineStream, before: Promise<unknown> | undefined): Promise<void> {
    await before;
    while (stream.isUnderWay && !stream.hasFailed) {
      await this.#last;
    }
  }

  #step(streams: readonly OnlineStream[]): Promise<void> {
    const before = this.#last;
    const run = this.#run(streams, before);
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #run(streams: readonly OnlineStream[], before: Promise<unknown>): Promise<void> {
    let taken: Taken[] = [];
    let asking = true;
    const endAsking = () => {
      if (asking) {
        asking = false;
        streams.forEach((stream) => {
          stream.chunksAsked--;
        });
      }
    };
    streams.forEach((stream) => {
      stream.chunksAsked++;
    });
    const prepare = () => {
      endAsking();
      const ready = streams.filter((stream) => !stream.state.closed && this.isReady(stream));
      const inputs = ready.map((stream) => ({
        state: stream.state,
        features: stream.takeFeatures(Math.min(this.chunkFrames, stream.framesReady)),
      }));
      taken = ready.map((stream, i) => ({ stream, values: inputs[i].features.length, epoch: stream.epoch }));
      return inputs;
    };
    let submitted = false;
    let step;
    try {
      step = await this.encoder.stepLate(prepare, [this.input], () => (submitted = true));
    } catch (error) {
      endAsking();
      if (!submitted) {
        // At once: the step behind takes what is next.
        taken.forEach(({ stream, values, epoch }) => {
          stream.giveBack(values, epoch);
        });
      }
      await before;
      if (submitted) {
        // The GPU's states are behind these frames and the results are lost: the streams cannot go on from here.
        taken.forEach(({ stream, epoch }) => {
          stream.fail(error, epoch);
        });
      }
      throw error;
    }
    await before;
    const { results, ...times } = step;
    const failures: unknown[] = [];
    results.forEach(({ frames, outputs }, i) => {
      const { stream, values, epoch } = taken[i];
      try {
        stream.accept(values, epoch, frames, outputs[this.input], times);
        stream.onAdvance?.();
      } catch (error) {
        stream.fail(error, epoch);
        failures.push(error);
      }
    });
    if (failures.length > 0) {
      throw failures[0];
    }
  }
}
