import { requireCtc } from '../../encoder/checks.ts';
import { BufferScope } from '../../webgpu/device/context.ts';
import { padded, vec4s } from '../../webgpu/weights.ts';
import * as kernels from '../kernels.generated.ts';
import { linear, linearGradients, maskOf, namesOf } from '../layer.ts';
import { CTC_HEAD } from '../layout.ts';
import { allEnded, byRow, rowsOf, runAll, type BatchSize, type Operation } from '../operations.ts';
import { CtcLoss } from './ctc.ts';
import { utterancesOf, type Loss, type LossOptions, type LossParts, type Utterance } from './loss.ts';
import { SpikeLoss } from './spike.ts';
import { fits, type TargetBatch } from './targets.ts';

/** What the CTC head is made of. */
interface CtcHeadParts extends LossParts {
  /** Dropout of the encoder's output: a bit for each element. */
  headMask: GPUBuffer;
}

/** The CTC head. Each utterance has a loss of its own: CTC over its labels, or a spike. */
export class CtcHead implements Loss {
  readonly losses: GPUBuffer;
  output!: Loss['output'];
  readonly #parts: CtcHeadParts;
  readonly #scope: BufferScope;
  #ctc!: CtcLoss;
  #spike!: SpikeLoss;
  #forward: readonly Operation[] = [];
  #backward: readonly Operation[] = [];

  private constructor(parts: CtcHeadParts) {
    this.#parts = parts;
    const scope = (this.#scope = new BufferScope(parts.context));
    this.losses = scope.createStorage('activations', 'losses', 4 * parts.capacity.utterances);
  }

  /** @throws RillError `bad-model` without a CTC head, `bad-argument` for what is too large, `shader`. */
  static async create(parts: CtcHeadParts): Promise<CtcHead> {
    const { vocabSize } = requireCtc(parts.sizes);
    const head = new CtcHead(parts);
    try {
      await head.#compile(vocabSize);
      return head;
    } catch (error) {
      head.dispose();
      throw error;
    }
  }

  async #compile(vocabSize: number): Promise<void> {
    const { maker, capacity, step, dropout, encoderOut, dEncoderOut, headMask } = this.#parts;
    const rows = rowsOf(capacity);
    const { dModel } = this.#parts.sizes.encoder;
    const [d, vocabulary] = [vec4s(dModel), vec4s(vocabSize)];
    const floats = (label: string, count: number) => this.#scope.createStorage('activations', label, 4 * count);
    // The input's gradient takes its place; logits become log-probabilities.
    const dropped = floats('encoder_out behind dropout', rows * padded(dModel));
    const logits = floats('logits', rows * padded(vocabSize));
    this.output = { buffer: logits, width: vocabSize };
    const dLogits = floats('gradient of logits', rows * padded(vocabSize));
    const masked = (x: GPUBuffer, y: GPUBuffer) =>
      maker.make(kernels.dropout, { ...maskOf(dropout), row_vec4s: d }, { x, y, mask: headMask, step }, byRow);
    const forward = Promise.all([
      masked(encoderOut, dropped),
      linear(this.#parts, namesOf(CTC_HEAD), d, vocabulary, { x: dropped, y: logits }),
      maker.make(kernels.logSoftmax, { width: vocabSize }, { x: logits, step }, byRow),
    ]);
    const backward = Promise.all([
      ...linearGradients(this.#parts, `${CTC_HEAD}.weight`, [`${CTC_HEAD}.bias`], d, vocabulary, {
        ...{ dy: dLogits, x: dropped, dx: dropped },
      }),
      masked(dropped, dEncoderOut),
    ]);
    const parts = { ...this.#parts, vocabSize, logProbs: logits, dLogits, losses: this.losses };
    const ctc = CtcLoss.create(parts).then((loss) => (this.#ctc = loss));
    const spike = SpikeLoss.create(parts).then((loss) => (this.#spike = loss));
    [this.#forward, this.#backward] = await allEnded([forward, backward, ctc, spike]);
  }

  upload(batch: TargetBatch, options: LossOptions): readonly Utterance[] {
    const utterances = utterancesOf(batch, options, fits);
    this.#ctc.upload(utterances);
    this.#spike.upload(utterances);
    return utterances;
  }

  run(pass: GPUComputePassEncoder, size: BatchSize): void {
    runAll(this.#forward, pass, size);
    this.#ctc.run(pass, size);
    this.#spike.run(pass, size);
    runAll(this.#backward, pass, size);
  }

  dispose(): void {
    this.#ctc?.dispose();
    this.#spike?.dispose();
    this.#scope.dispose();
  }
}
