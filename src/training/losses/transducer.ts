import { initialContext } from '../../decoder/joiner.ts';
import { requireTransducer } from '../../encoder/checks.ts';
import { RillError } from '../../errors.ts';
import { BufferScope } from '../../webgpu/device/context.ts';
import { rowsOf, type BatchSize } from '../operations.ts';
import { longestTarget, utterancesOf, type Loss, type LossOptions, type LossParts, type Utterance } from './loss.ts';
import { isSpike, type TargetBatch } from './targets.ts';
import {
  UTTERANCE_WORDS,
  createBuffers,
  planTransducer,
  type Rows,
  type RowsOperation,
  type TransducerBuffers,
} from './transducer-plan.ts';
import type { RnntType } from './targets.ts';

const BLANK = 0;
/** Rows of the lattice that one dispatch covers, four by each workgroup along y. */
const MOST_ROWS = 4 * 65535;

/** The transducer: its decoder, its joiner, and the loss over all alignments of each target. */
export class TransducerLoss implements Loss {
  readonly #parts: LossParts;
  readonly #type: RnntType;
  readonly #scope: BufferScope;
  readonly #buffers: TransducerBuffers;
  #operations: readonly RowsOperation[] = [];
  /** Symbols of the batch's longest target, and 1. */
  #positions = 1;

  private constructor(parts: LossParts, type: RnntType) {
    this.#parts = parts;
    this.#type = type;
    this.#scope = new BufferScope(parts.context);
    this.#buffers = createBuffers(this.#scope, parts, type);
  }

  /** @throws RillError `bad-model` without a transducer head, `bad-argument` for what is too large, `shader`. */
  static async create(parts: LossParts, type: RnntType): Promise<TransducerLoss> {
    const { utterances, labels } = parts.capacity;
    const frames = rowsOf(parts.capacity);
    const rows = frames * (labels + 1);
    if (rows > MOST_ROWS) {
      throw new RillError('bad-argument', {
        got: `${utterances} utterances, ${frames} encoder frames in all, with ${labels} tokens: ${rows} rows of logits`,
        expected: `at most ${MOST_ROWS}`,
        remedy: 'Train with smaller batches, or with shorter utterances.',
      });
    }
    const loss = new TransducerLoss(parts, type);
    try {
      loss.#operations = await planTransducer(parts, loss.#buffers, type);
      return loss;
    } catch (error) {
      loss.dispose();
      throw error;
    }
  }

  get losses(): GPUBuffer {
    return this.#buffers.losses;
  }

  get output(): Loss['output'] {
    const { joinerDim } = requireTransducer(this.#parts.sizes);
    return { buffer: this.#buffers.encoderProj, width: joinerDim };
  }

  upload(batch: TargetBatch, options: LossOptions): readonly Utterance[] {
    const targets = batch.targets.map((target) => {
      if (isSpike(target)) {
        throw new RillError('bad-argument', {
          got: 'a token in a window',
          expected: 'token ids, which is what a transducer is told',
          remedy: 'Train the CTC head for it.',
        });
      }
      return target;
    });
    const fits = (target: readonly number[], frames: number) => this.#type === 'regular' || target.length <= frames;
    const utterances = utterancesOf({ ...batch, targets }, options, fits);
    this.#positions = 1 + longestTarget(targets, this.#parts.capacity);
    this.#write(utterances);
    return utterances;
  }

  #write(utterances: readonly Utterance<readonly number[]>[]): void {
    const { contextSize } = requireTransducer(this.#parts.sizes);
    const positions = this.#positions;
    const contexts = new Int32Array(utterances.length * positions * contextSize).fill(-1);
    const symbols = new Uint32Array(utterances.length * positions);
    const table = new DataView(new ArrayBuffer(4 * UTTERANCE_WORDS * utterances.length));
    utterances.forEach(({ target, frames, gradientWeight, isFeasible }, n) => {
      symbols.set(target, n * positions);
      const before = [...initialContext({ contextSize }, BLANK), ...target];
      for (let u = 0; u <= target.length; u++) {
        contexts.set(before.slice(u, u + contextSize), (n * positions + u) * contextSize);
      }
      const at = 4 * UTTERANCE_WORDS * n;
      table.setUint32(at, frames, true);
      table.setUint32(at + 4, target.length, true);
      table.setFloat32(at + 8, gradientWeight, true);
      table.setUint32(at + 12, isFeasible ? 1 : 0, true);
    });
    const frames = Math.max(...utterances.map((each) => each.frames));
    const sizes = this.#sizesOf({ utterances: utterances.length, frames });
    const { queue } = this.#parts.context.device;
    const buffers = this.#buffers;
    queue.writeBuffer(buffers.contexts, 0, contexts);
    queue.writeBuffer(buffers.symbols, 0, symbols);
    queue.writeBuffer(buffers.utterances, 0, table.buffer);
    queue.writeBuffer(buffers.lattice, 0, Uint32Array.of(positions, frames));
    queue.writeBuffer(buffers.decoderStep, 0, Uint32Array.of(sizes.decoder.utterances, sizes.decoder.frames));
    queue.writeBuffer(buffers.latticeStep, 0, Uint32Array.of(sizes.lattice.utterances, sizes.lattice.frames));
  }

  /** How many rows there are of each kind; positions stand beside each other as utterances do. */
  #sizesOf(size: BatchSize): Record<Rows, BatchSize> {
    const utterances = size.utterances * this.#positions;
    return { encoder: size, decoder: { utterances, frames: 1 }, lattice: { utterances, frames: size.frames } };
  }

  run(pass: GPUComputePassEncoder, size: BatchSize): void {
    const sizes = this.#sizesOf(size);
    for (const [rows, operation] of this.#operations) {
      operation.run(pass, sizes[rows]);
    }
  }

  dispose(): void {
    this.#scope.dispose();
  }
}
