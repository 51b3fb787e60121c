import type { Model } from '../../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../../model/sizes.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import { auxLayers } from '../draws.ts';
import { TrainingNetwork } from '../network.ts';
import { rowsOf, type Capacity } from '../operations.ts';
import type { Parameters } from '../parameters.ts';
import { widened } from './batches.ts';
import type { ResolvedOptions } from './options.ts';

/** Two networks over the same parameters: one that is trained, with all that is drawn, and one that is only evaluated. */
interface Pair {
  capacity: Capacity;
  training: TrainingNetwork;
  /** The same one where nothing is drawn. */
  evaluating: TrainingNetwork;
}

/** A trainer's networks, made anew when larger batches come. */
export class Networks {
  /** Whether anything is drawn in a step. */
  readonly isRandom: boolean;
  readonly #context: GpuContext;
  readonly #model: Model;
  readonly #parameters: Parameters;
  readonly #options: ResolvedOptions;
  #pair: Pair | undefined;

  constructor(context: GpuContext, model: Model, parameters: Parameters, options: ResolvedOptions) {
    this.#context = context;
    this.#model = model;
    this.#parameters = parameters;
    this.#options = options;
    const { dropout, layerDropout, shaping } = options;
    this.isRandom = dropout > 0 || layerDropout > 0 || this.#auxLayers.length > 0 || shaping.balancers === true;
  }

  get #auxLayers(): number[] {
    return auxLayers(this.#model.sizes.encoder.numEncoderLayers, this.#options.auxLayerPeriod);
  }

  /**
   * Networks for batches of this size, and of all sizes before.
   *
   * @throws RillError `bad-argument` for what is too large, `shader`, `gpu` for what there is no memory for.
   */
  async for(wanted: Capacity): Promise<Pair> {
    const before = this.#pair;
    const capacity = before ? widened(before.capacity, wanted) : widened(wanted, wanted);
    if (before && JSON.stringify(before.capacity) === JSON.stringify(capacity)) {
      return before;
    }
    this.dispose();
    const { dropout, layerDropout, recompute, shaping, precision, loss, rnntType, trainable } = this.#options;
    const make = (more: object) =>
      TrainingNetwork.create(
        this.#context,
        this.#model,
        capacity,
        { loss, rnntType, trainable, ...more },
        this.#parameters,
      );
    const training = await make({ dropout, layerDropout, recompute, shaping, precision, auxLayers: this.#auxLayers });
    try {
      const evaluating = this.isRandom ? await make({ recompute: true, precision }) : training;
      return (this.#pair = { capacity, training, evaluating });
    } catch (error) {
      training.dispose();
      throw error;
    }
  }

  /** A network with other weights, that is only evaluated. */
  async withWeights(model: Model, wanted: Capacity): Promise<TrainingNetwork> {
    const { loss, rnntType, trainable, precision } = this.#options;
    const options = { loss, rnntType, trainable, precision, recompute: true };
    return TrainingNetwork.create(this.#context, model, wanted, options);
  }

  /**
   * Finds out whether there is room, by a batch of silence that takes all of it; nothing is trained by it.
   *
   * @throws RillError as {@link for} does.
   */
  async attempt(capacity: Capacity): Promise<void> {
    this.dispose();
    const { training } = await this.for(capacity);
    const { utterances, frames } = capacity;
    const count = Math.max(1, Math.min(utterances, Math.floor(rowsOf(capacity) / frames)));
    const length = SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES;
    const lens = Array.from({ length: count }, () => length);
    const batch = {
      features: new Float32Array(count * length * this.#model.sizes.encoder.numFeatures),
      lens,
      targets: lens.map(() => []),
      ...(this.isRandom && { draws: { seed: 0, microStep: 0 } }),
    };
    training.submit(batch, { reduction: 'sum' }, { isFirst: true });
    await training.losses();
  }

  /** Frees their memory. */
  dispose(): void {
    const { training, evaluating } = this.#pair ?? {};
    training?.dispose();
    if (evaluating !== training) {
      evaluating?.dispose();
    }
    this.#pair = undefined;
  }
}
