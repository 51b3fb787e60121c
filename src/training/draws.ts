/** What is random in a step of training: dropout masks, bypassed layers, and weights of RandomCombine. */
import { normals, seedKey, unit, wordsAt } from './philox.ts';

/** What words are drawn for; below 0x8000 are the masks of layers, by {@link layerSites}. */
export const SITES = {
  layerDropout: 0x8000,
  randomCombine: 0x8001,
  headDropout: 0x8002,
  specAugment: 0x8003,
  shuffling: 0x8004,
  speed: 0x8005,
  gain: 0x8006,
  noise: 0x8007,
  otherSpeech: 0x8008,
  balancers: 0x8009,
  initialWeights: 0x800a,
  teachPhrase: 0x8010,
  teachRehearsal: 0x8011,
  teachShort: 0x8012,
  teachLong: 0x8013,
  teachBatch: 0x8014,
} as const;

/** The sites of a layer's three masks. */
export const layerSites = (layer: number) => ({ lstm: 3 * layer, ffInner: 3 * layer + 1, ff: 3 * layer + 2 });

/** Alpha of a layer that is bypassed: so much of it is kept. */
const BYPASSED = 0.1;
/** Probability that a balancer acts. */
const BALANCED = 0.25;
const PURE_PROBABILITY = 0.333;
const FINAL_WEIGHT = 0.5;
/** Standard deviation of the weights before their softmax. */
const COMBINE_STDDEV = 2;

/** Which micro-batch is drawn for. */
export interface DrawStep {
  /** A whole number from 0 to 2^53 - 1. */
  seed: number;
  /** Micro-batches since the start of training. */
  microStep: number;
}

/** Masks have 1 where an element is kept, which is then divided by 1 - p, and 0 where it is dropped. */
export type Mask = ArrayLike<number>;

/** Masks of a layer: behind its LSTM and its feed-forward (N, T', d), within the feed-forward (N, T', ff). */
export type LayerMasks = Readonly<Record<'lstm' | 'ffInner' | 'ff', Mask>>;

/** All that is drawn for a micro-batch of N utterances and T' encoder frames. */
export interface Draws {
  /** How much of each layer counts; the rest is its input. */
  alpha: readonly number[];
  /** Masks of each layer. */
  layers: readonly LayerMasks[];
  /** (N, T', d), before the CTC head. */
  head: Mask;
  /** Weights of RandomCombine (N, T', inputs); undefined where the last layer alone is taken. */
  combine?: ArrayLike<number>;
  /** Which of the activation balancers act, those of the embedding first; none by default. */
  balancers?: readonly boolean[];
}

/** A word is kept if it is at least this. */
export const dropoutThreshold = (probability: number) => Math.floor(probability * 2 ** 32);

/** A dropout mask (N, T', width). It does not depend on N, T' or the width: a larger mask has the smaller within it. */
export function dropoutMask(
  { seed, microStep }: DrawStep,
  site: number,
  { batch, frames, width }: { batch: number; frames: number; width: number },
  probability: number,
): Uint8Array<ArrayBuffer> {
  const key = seedKey(seed);
  const threshold = dropoutThreshold(probability);
  const mask = new Uint8Array(batch * frames * width);
  for (let utterance = 0; utterance < batch; utterance++) {
    for (let frame = 0; frame < frames; frame++) {
      const start = (utterance * frames + frame) * width;
      for (let k = 0; k < width; k += 4) {
        const words = wordsAt(key, { site, utterance, frame, microStep }, k >> 2);
        for (let i = 0; i < 4 && k + i < width; i++) {
          mask[start + k + i] = words[i] >= threshold ? 1 : 0;
        }
      }
    }
  }
  return mask;
}

/**
 * Alpha of each layer: `min(0.1 + warmup, 1)`, or 0.1 where the layer is bypassed.
 *
 * @param probability that a layer is bypassed
 * @param warmup 0 at the start of training, 1 or more behind its warm-up
 */
export function layerAlphas(
  { seed, microStep }: DrawStep,
  layers: number,
  { probability, warmup }: { probability: number; warmup: number },
): number[] {
  const key = seedKey(seed);
  const threshold = dropoutThreshold(probability);
  return Array.from({ length: layers }, (_, layer) => {
    const [word] = wordsAt(key, { site: SITES.layerDropout, utterance: layer, frame: 0, microStep }, 0);
    return word >= threshold ? Math.min(BYPASSED + warmup, 1) : BYPASSED;
  });
}

/** Which of so many activation balancers act. */
export function balancersActing({ seed, microStep }: DrawStep, count: number): boolean[] {
  const key = seedKey(seed);
  const threshold = dropoutThreshold(BALANCED);
  return Array.from({ length: count }, (_, balancer) => {
    const [word] = wordsAt(key, { site: SITES.balancers, utterance: balancer, frame: 0, microStep }, 0);
    return word < threshold;
  });
}

/**
 * The layers whose outputs RandomCombine combines: every `period`-th from a third of the layers on, and the last.
 *
 * @param period 0 for the last layer alone
 * @returns none where there would be fewer than two: then the last layer is taken as it is
 */
export function auxLayers(layers: number, period: number): number[] {
  const aux: number[] = [];
  for (let layer = Math.floor(layers / 3); period > 0 && layer < layers - 1; layer += period) {
    aux.push(layer);
  }
  return aux.length > 0 ? [...aux, layers - 1] : [];
}

/** Weights of one frame: words of it by blocks of four. */
function frameWeights(words: (block: number) => ArrayLike<number>, inputs: number): Float64Array<ArrayBuffer> {
  const weights = new Float64Array(inputs);
  const last = inputs - 1;
  const { 0: pure, 1: isLast, 2: which } = words(0);
  if (unit(pure) < PURE_PROBABILITY) {
    weights[unit(isLast) < FINAL_WEIGHT ? last : Math.floor((which * last) / 2 ** 32)] = 1;
    return weights;
  }
  for (let k = 0; k < inputs; k += 4) {
    const { 0: a, 1: b, 2: c, 3: d } = words(1 + (k >> 2));
    weights.set([...normals(a, b), ...normals(c, d)].slice(0, inputs - k), k);
  }
  const offset = Math.log((FINAL_WEIGHT / (1 - FINAL_WEIGHT)) * last);
  const scores = weights.map((normal, k) => COMBINE_STDDEV * normal + (k === last ? offset : 0));
  const largest = Math.max(...scores);
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  return scores.map((score) => Math.exp(score - largest) / sum);
}

/**
 * Weights of RandomCombine (N, T', inputs) in float64; those of a frame sum to 1.
 *
 * @param inputs layers that are combined, two or more
 */
export function combineWeights(
  { seed, microStep }: DrawStep,
  { batch, frames }: { batch: number; frames: number },
  inputs: number,
): Float64Array<ArrayBuffer> {
  const key = seedKey(seed);
  const weights = new Float64Array(batch * frames * inputs);
  for (let utterance = 0; utterance < batch; utterance++) {
    for (let frame = 0; frame < frames; frame++) {
      const coordinates = { site: SITES.randomCombine, utterance, frame, microStep };
      const own = frameWeights((block) => wordsAt(key, coordinates, block), inputs);
      weights.set(own, (utterance * frames + frame) * inputs);
    }
  }
  return weights;
}
