import { requireTransducer } from '../encoder/checks.ts';
import type { Model } from '../model/model.ts';
import { readFinite } from '../model/tensors.ts';

/** @internal The context of a fresh hypothesis: [-1, …, blank], as in icefall's beam_search.py. */
export function initialContext({ contextSize }: { contextSize: number }, blankId: number): number[] {
  return [...Array<number>(contextSize - 1).fill(-1), blankId];
}

/** y = W x + b on the CPU; W (outputs, inputs). */
function affine(weight: Float32Array, bias: Float32Array, x: Float32Array): Float32Array<ArrayBuffer> {
  const y = new Float32Array(bias.length);
  for (let o = 0; o < y.length; o++) {
    let sum = bias[o];
    for (let k = 0, w = o * x.length; k < x.length; k++, w++) {
      sum += weight[w] * x[k];
    }
    y[o] = sum;
  }
  return y;
}

/** Projections of recent contexts that are kept: hypotheses of many streams share most of theirs. */
const CACHED_CONTEXTS = 4096;

/**
 * The stateless decoder and the joiner (icefall's decoder.py and joiner.py), on the CPU: their matrices are
 * small, and a search asks for one row after the other, each depending on the one before.
 */
export class TransducerJoiner {
  readonly vocabSize: number;
  readonly contextSize: number;
  readonly joinerDim: number;
  readonly #decoderDim: number;
  readonly #weights: Readonly<Record<string, Float32Array>>;
  readonly #cache = new Map<string, Float32Array>();
  readonly #hidden: Float32Array<ArrayBuffer>;

  private constructor(model: Model, weights: Readonly<Record<string, Float32Array>>) {
    const { vocabSize, contextSize, joinerDim, decoderDim } = requireTransducer(model.sizes);
    this.vocabSize = vocabSize;
    this.contextSize = contextSize;
    this.joinerDim = joinerDim;
    this.#decoderDim = decoderDim;
    this.#weights = weights;
    this.#hidden = new Float32Array(joinerDim);
  }

  /** @throws RillError `bad-model` when the model has no transducer head. */
  static async load(model: Model): Promise<TransducerJoiner> {
    const names = [
      'decoder.embedding.weight',
      'decoder.conv.weight',
      'joiner.decoder_proj.weight',
      'joiner.decoder_proj.bias',
      'joiner.output_linear.weight',
      'joiner.output_linear.bias',
    ];
    requireTransducer(model.sizes);
    const loaded: Record<string, Float32Array> = {};
    for (const name of names) {
      loaded[name] = await readFinite(model.weights, name);
    }
    return new TransducerJoiner(model, loaded);
  }

  /**
   * The decoder's side of the joiner for the last `contextSize` tokens: embedding, depthwise convolution over
   * them, ReLU, projection. A negative token embeds to zero.
   *
   * @returns (joiner_dim); shared, not to be written to
   */
  decoderProj(context: readonly number[]): Float32Array {
    const key = context.join();
    const cached = this.#cache.get(key);
    if (cached) {
      return cached;
    }
    const embedding = this.#weights['decoder.embedding.weight'];
    const conv = this.#weights['decoder.conv.weight'];
    const hidden = new Float32Array(this.#decoderDim);
    context.forEach((token, position) => {
      for (let i = 0; token >= 0 && i < this.#decoderDim; i++) {
        hidden[i] += conv[i * this.contextSize + position] * embedding[token * this.#decoderDim + i];
      }
    });
    const proj = affine(
      this.#weights['joiner.decoder_proj.weight'],
      this.#weights['joiner.decoder_proj.bias'],
      hidden.map((value) => Math.max(0, value)),
    );
    if (this.#cache.size >= CACHED_CONTEXTS) {
      this.#cache.clear();
    }
    this.#cache.set(key, proj);
    return proj;
  }

  /**
   * output_linear(tanh(encoder_proj + decoder_proj)).
   *
   * @param encoderProj (joiner_dim) of one frame
   * @param decoderProj (joiner_dim) of one context
   * @returns (vocab_size)
   */
  logits(encoderProj: Float32Array, decoderProj: Float32Array): Float32Array<ArrayBuffer> {
    for (let i = 0; i < this.joinerDim; i++) {
      this.#hidden[i] = Math.tanh(encoderProj[i] + decoderProj[i]);
    }
    return affine(
      this.#weights['joiner.output_linear.weight'],
      this.#weights['joiner.output_linear.bias'],
      this.#hidden,
    );
  }
}

/** Log-softmax in place, with the blank made less likely by `blankPenalty` first. */
export function logSoftmax(logits: Float32Array, blankId: number, blankPenalty: number): Float32Array {
  logits[blankId] -= blankPenalty;
  let largest = -Infinity;
  for (const value of logits) {
    largest = Math.max(largest, value);
  }
  let sum = 0;
  for (const value of logits) {
    sum += Math.exp(value - largest);
  }
  const offset = largest + Math.log(sum);
  for (let k = 0; k < logits.length; k++) {
    logits[k] -= offset;
  }
  return logits;
}
