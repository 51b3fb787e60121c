import { checkInputs, encoderClosed, unknownOutput } from '../encoder/checks.ts';
import type { Encoder, StepInput, StepResult, TimedStep } from '../encoder/encoder.ts';
import { ENCODER_OUT } from '../encoder/outputs.ts';
import { RillError } from '../errors.ts';
import type { Crew } from './crew.ts';
import { outputOf, widthsOf, type Head, type RowsAt } from './heads.ts';
import { copyStates, gather, putLanes, type Lane } from './lanes.ts';
import type { Heap } from './memory.ts';
import { Rooms } from './rooms.ts';
import { runShare, shareOut, type Share } from './share.ts';
import { LaneState } from './state.ts';
import { rowsOf, type Network, type Rows } from './step.ts';
import type { Turns } from './turns.ts';
import type { Workspace } from './workspace.ts';

/** One stream in a step. */
interface Member extends Lane {
  state: LaneState;
  /** Its {@link LaneState.writes} when the step began. */
  writes: number;
  chunk: Float32Array;
  frames: number;
  /** Its place among the inputs. */
  input: number;
}

/** Streams that one thread advances. */
interface Group {
  members: readonly Member[];
  rows: Rows;
  space: Workspace;
}

/** What each stream gets besides its outputs. */
type OnStage = (gatherX: () => Float32Array<ArrayBuffer>[]) => void;

/** What steps are run with. */
interface Means {
  network: Network;
  heap: Heap;
  turns: Turns;
  heads: ReadonlyMap<string, Head>;
  /** The threads beside the calling one, if there are any. */
  crew?: Crew;
}

/** Fewer lanes than that are not worth a thread's messages, nor a product's tile. */
const LEAST_LANES = 4;

/** Threads, of those that there are, that a step of so many lanes is shared out over. */
export const threadsFor = (lanes: number, threads: number) =>
  Math.max(1, Math.min(threads, Math.floor(lanes / LEAST_LANES)));

/**
 * Runs steps, one at a time, in the order of their calls. In one thread a step is done in one go: from the check of its
 * inputs to its results nothing else happens to the streams. In several, each thread advances some of the streams; what is
 * written to a stream meanwhile counts as written after the step.
 */
export class Stepper {
  readonly #encoder: Encoder;
  readonly #means: Means;
  readonly #rooms: Rooms;
  #disposed = false;

  /** @param onGrown called with the bytes that the workspaces have grown by */
  constructor(encoder: Encoder, means: Means, onGrown: (bytes: number) => void) {
    this.#encoder = encoder;
    this.#means = means;
    this.#rooms = new Rooms(means.heap, means.network.sizes, onGrown);
  }

  /** @throws RillError `closed`. */
  check(): void {
    if (this.#disposed) {
      throw encoderClosed();
    }
  }

  dispose(): void {
    this.#disposed = true;
    this.#means.crew?.dispose();
  }

  /**
   * A step, when its turn has come.
   *
   * @param prepare called right before it; without inputs nothing happens
   * @param onSubmit called when the streams have taken their chunks
   * @param onStage called after the embedding and each layer; then all is done in the calling thread
   */
  async run(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    { onSubmit, onStage }: { onSubmit?: () => void; onStage?: OnStage } = {},
  ): Promise<TimedStep> {
    this.check();
    return this.#means.turns.take(() => {
      this.check();
      this.#checkOutputs(read);
      const inputs = prepare();
      if (inputs.length === 0) {
        return { results: [], computeMs: 0, readbackMs: 0 };
      }
      const started = performance.now();
      const groups = this.#begin(inputs, onStage ? 1 : (this.#means.crew?.size ?? 0) + 1);
      onSubmit?.();
      const end = () => {
        const results = this.#end(groups, read);
        return { results, computeMs: performance.now() - started, readbackMs: 0 };
      };
      const others = this.#compute(groups, read, onStage);
      return others ? others.then(end).catch(failing(groups)) : end();
    });
  }

  /** Shares the streams out, and takes their chunks. From here on the step counts as done for the streams. */
  #begin(inputs: readonly StepInput[], threads: number): Group[] {
    const { heap, heads, network } = this.#means;
    const counts = checkInputs(this.#encoder, inputs);
    const members = inputs.map(({ state, features }, input): Member => {
      const own = laneOf(state);
      const { h, c, writes } = own;
      const lane = { features: own.withContext(features), h, c };
      return { state: own, writes, chunk: features, frames: counts[input], input, ...lane };
    });
    // The longest first; of equals whoever, since no lane's bytes depend on its place.
    members.sort((a, b) => b.frames - a.frames);
    const bounds = shareOut(
      members.map(({ frames }) => frames),
      threadsFor(members.length, threads),
    );
    const shares = bounds.slice(1).map((end, i) => members.slice(bounds[i], end));
    const rows = shares.map((share) => rowsOf(share.map(({ frames }) => frames)));
    const needed = rows.map(({ frames, total }) => ({ lanes: frames.length, frames: frames[0], rows: total }));
    const spaces = this.#rooms.fitting(needed, widthsOf(heads));
    return shares.map((share, i) => {
      putLanes(heap, network.sizes, spaces[i], share);
      for (const { state, chunk } of share) {
        state.keepContext(chunk);
      }
      return { members: share, rows: rows[i], space: spaces[i] };
    });
  }

  /** @returns what waits for the other threads, where there are any in the step */
  #compute(groups: readonly Group[], read: readonly string[], onStage?: OnStage): Promise<void> | undefined {
    const { network, heads, crew } = this.#means;
    const needed = [...new Set(read)].flatMap((name) => heads.get(name) ?? []);
    const [own, ...others] = groups.map(({ space, rows }): Share => ({ space, frames: rows.frames, heads: needed }));
    const waiting = others.length > 0 ? crew?.run(others) : undefined;
    runShare(
      network,
      own,
      onStage &&
        (() => {
          onStage(() => this.#split(groups, (space) => this.#outputX(space)));
        }),
    );
    return waiting;
  }

  /** What the streams get, and their states. */
  #end(groups: readonly Group[], read: readonly string[]): StepResult[] {
    this.check();
    const { heap, heads, network } = this.#means;
    for (const { members, space } of groups) {
      members.forEach(({ state, writes, h, c }, lane) => {
        if (state.writes === writes) {
          copyStates(heap, network.sizes, space, { h, c }, lane, 'out');
        }
      });
    }
    const outputs = read.map((name) => {
      const head = heads.get(name);
      return [name, this.#split(groups, (space) => (head ? outputOf(space, head) : this.#outputX(space)))] as const;
    });
    const frames = groups.flatMap(({ members }) => members).sort((a, b) => a.input - b.input);
    return frames.map((member, i) => ({
      frames: member.frames,
      outputs: Object.fromEntries(outputs.map(([name, each]) => [name, each[i]])),
    }));
  }

  #outputX({ x }: Workspace): RowsAt {
    const { weights, sizes } = this.#means.network;
    return { at: x, width: sizes.dModel, stride: weights.out.outputs };
  }

  /** An array's rows by stream, in the order of the inputs. */
  #split(groups: readonly Group[], place: (space: Workspace) => RowsAt): Float32Array<ArrayBuffer>[] {
    const parts = groups.flatMap(({ members, rows, space }) =>
      members.map(({ input }, lane) => ({ input, part: gather(this.#means.heap, rows, lane, place(space)) })),
    );
    return parts.sort((a, b) => a.input - b.input).map(({ part }) => part);
  }

  #checkOutputs(read: readonly string[]): void {
    for (const name of read) {
      if (name !== ENCODER_OUT && !this.#means.heads.has(name)) {
        throw unknownOutput(name, [ENCODER_OUT, ...this.#means.heads.keys()]);
      }
    }
  }
}

function laneOf(state: unknown): LaneState {
  if (!(state instanceof LaneState)) {
    throw new RillError('internal', {
      got: 'a stream of another engine',
      expected: 'one of this encoder’s',
      remedy: 'Please report it.',
    });
  }
  return state;
}

/** The states of a step that failed are not what was heard: whoever uses its streams from now on gets the error. */
const failing =
  (groups: readonly Group[]) =>
  (error: unknown): never => {
    if (error instanceof RillError) {
      groups.flatMap(({ members }) => members).forEach(({ state }) => state.fail(error));
    }
    throw error;
  };
