/** One layer of the network, and what it is to learn: the same for whoever trains it. */
import { layerPrefix } from '../../src/training/layout.ts';
import type { Model } from '../../src/model/model.ts';
import { randomModel, randomSource, type RandomSizes } from '../runtime/random-model.ts';

/** The sizes of a layer of wake-words. */
export const LAYER_SIZES: RandomSizes = { dModel: 128, rnnHiddenSize: 256, dimFeedforward: 512, numEncoderLayers: 1 };

/** How Adam goes, PyTorch's defaults. */
export const ADAM = { learningRate: 1e-3, betas: [0.9, 0.999], eps: 1e-8 } as const;

export interface LayerProblem {
  /** Of one layer; its `norm_final.eps` and `bias_hh_l0` stay as they are. */
  model: Model;
  utterances: number;
  frames: number;
  /** (frames, utterances, d) what goes in, and what should come out: the loss is the mean square of the difference. */
  x: Float32Array<ArrayBuffer>;
  wanted: Float32Array<ArrayBuffer>;
}

/** Made up, the same each time. */
export function layerProblem(sizes = LAYER_SIZES, { utterances = 8, frames = 75 } = {}): LayerProblem {
  const made = (seed: number) => {
    const next = randomSource(seed);
    return Float32Array.from({ length: frames * utterances * sizes.dModel }, () => 2 * next());
  };
  return { model: randomModel(sizes), utterances, frames, x: made(1001), wanted: made(1002) };
}

/** Tensors of the layer by the last part of their names, such as `lstm.weight_ih_l0`. */
export async function layerTensors({ model: { weights } }: LayerProblem) {
  const prefix = `${layerPrefix(0)}.`;
  const names = [...weights.tensors.keys()].filter((name) => name.startsWith(prefix));
  const read = names.map(async (name) => {
    const shape = weights.tensors.get(name)?.shape ?? [];
    return [name.slice(prefix.length), { shape, values: await weights.read(name) }] as const;
  });
  return new Map(await Promise.all(read));
}

/** Whoever trains the layer. Each call ends when its loss is at hand. */
export interface LayerContender {
  /** The loss alone. */
  forward: () => Promise<number>;
  /** Forwards, backwards and a step of Adam. @returns the loss before it */
  step: () => Promise<number>;
  device?: GPUDevice;
  /** Bytes that it says it takes. */
  bytes?: number;
  dispose: () => void;
}

/** Makes a contender, up to where its first step can begin. */
export type OpenLayer = (problem: LayerProblem) => Promise<LayerContender>;
