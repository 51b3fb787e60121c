import { checkInputs, encoderClosed, unknownOutput } from '../encoder/checks.ts';
import type { Encoder, StepInput, StepResult, TimedStep } from '../encoder/encoder.ts';
import { ENCODER_OUT } from '../encoder/outputs.ts';
import { RillError } from '../errors.ts';
import { widestOf, type Head, type RowsAt } from './heads.ts';
import { LaneState } from './state.ts';
import { gather, rowsOf, runStep, type Lane, type Network, type Rows } from './step.ts';
import { Turns } from './turns.ts';
import { layOut, type Room, type Workspace } from './workspace.ts';

/** One stream in a step. */
interface Member extends Lane {
  state: LaneState;
  chunk: Float32Array;
  /** Its place among the inputs. */
  input: number;
}

/** What each stream gets besides its outputs. */
type OnStage = (gatherX: () => Float32Array<ArrayBuffer>[]) => void;

/**
 * Runs steps, one at a time, in the order of their calls. A step is done in one go: from the check of its inputs to its
 * results nothing else happens to the streams.
 */
export class Stepper {
  readonly #encoder: Encoder;
  readonly #network: Network;
  readonly #heads: ReadonlyMap<string, Head>;
  readonly #onGrown: (bytes: number) => void;
  readonly #turns = new Turns();
  #space: Workspace | undefined;
  /** Bytes of the workspace, as they were told last. */
  #lent = 0;
  #disposed = false;

  /** @param onGrown called with the bytes that the workspace has grown by */
  constructor(encoder: Encoder, network: Network, heads: ReadonlyMap<string, Head>, onGrown: (bytes: number) => void) {
    this.#encoder = encoder;
    this.#network = network;
    this.#heads = heads;
    this.#onGrown = onGrown;
  }

  /** @throws RillError `closed`. */
  check(): void {
    if (this.#disposed) {
      throw encoderClosed();
    }
  }

  dispose(): void {
    this.#disposed = true;
  }

  /**
   * A step, when its turn has come.
   *
   * @param prepare called right before it; without inputs nothing happens
   * @param onSubmit called when the streams have taken their chunks
   * @param onStage called after the embedding and each layer
   */
  async run(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    { onSubmit, onStage }: { onSubmit?: () => void; onStage?: OnStage } = {},
  ): Promise<TimedStep> {
    this.check();
    return this.#turns.take(() => {
      this.check();
      this.#checkOutputs(read);
      const inputs = prepare();
      if (inputs.length === 0) {
        return { results: [], computeMs: 0, readbackMs: 0 };
      }
      const started = performance.now();
      const results = this.#step(inputs, read, onStage);
      onSubmit?.();
      return { results, computeMs: performance.now() - started, readbackMs: 0 };
    });
  }

  #step(inputs: readonly StepInput[], read: readonly string[], onStage?: OnStage): StepResult[] {
    const counts = checkInputs(this.#encoder, inputs);
    const members = inputs.map(({ state, features }, input): Member => {
      const own = laneOf(state);
      const { h, c } = own;
      return { state: own, chunk: features, input, frames: counts[input], features: own.withContext(features), h, c };
    });
    // The longest first; of equals whoever, since no lane's bytes depend on its place.
    members.sort((a, b) => b.frames - a.frames);
    const rows = rowsOf(members.map(({ frames }) => frames));
    const space = this.#room({ lanes: members.length, frames: members[0].frames, rows: rows.total });
    runStep(
      this.#network,
      space,
      members,
      rows,
      onStage &&
        (() => {
          onStage(() => this.#split(members, rows, this.#outputX(space)));
        }),
    );
    for (const { state, chunk } of members) {
      state.keepContext(chunk);
    }
    const outputs = read.map((name) => {
      const at = this.#heads.get(name)?.run(this.#network, space, rows.total) ?? this.#outputX(space);
      return [name, this.#split(members, rows, at)] as const;
    });
    return counts.map((frames, i) => ({
      frames,
      outputs: Object.fromEntries(outputs.map(([name, each]) => [name, each[i]])),
    }));
  }

  #outputX({ x }: Workspace): RowsAt {
    const { weights, sizes } = this.#network;
    return { at: x, width: sizes.dModel, stride: weights.out.outputs };
  }

  /** An array's rows by stream, in the order of the inputs. */
  #split(members: readonly Member[], rows: Rows, at: RowsAt): Float32Array<ArrayBuffer>[] {
    const parts = members.map(({ input, frames }, lane) => {
      return { input, part: gather(this.#network.heap, rows, { lane, frames }, at) };
    });
    return parts.sort((a, b) => a.input - b.input).map(({ part }) => part);
  }

  /** The workspace, with room for a step: as it is, or laid out anew. */
  #room(needed: Room): Workspace {
    const { heap, sizes } = this.#network;
    const space = this.#space?.layout === heap.layout ? this.#space : undefined;
    const { lanes, frames, rows } = space?.room ?? { lanes: 0, frames: 0, rows: 0 };
    if (space && lanes >= needed.lanes && frames >= needed.frames && rows >= needed.rows) {
      return space;
    }
    const room = {
      lanes: Math.max(lanes, needed.lanes),
      frames: Math.max(frames, needed.frames),
      rows: Math.max(rows, needed.rows),
    };
    const before = this.#lent;
    this.#space = layOut(heap, sizes, widestOf(this.#heads), room);
    this.#lent = heap.lent;
    this.#onGrown(this.#lent - before);
    return this.#space;
  }

  #checkOutputs(read: readonly string[]): void {
    for (const name of read) {
      if (name !== ENCODER_OUT && !this.#heads.has(name)) {
        throw unknownOutput(name, [ENCODER_OUT, ...this.#heads.keys()]);
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
