import { beforeAll, describe, expect, it } from 'vitest';
import { auxLayers, combineWeights, dropoutMask, dropoutThreshold, layerAlphas } from '../../src/training/draws.ts';
import { philox } from '../../src/training/philox.ts';
import { expectClose } from '../support/close.ts';
import { trainingArray, trainingJson } from '../support/training.ts';

interface Golden {
  known_answers: { counter: string[]; key: string[]; out: string }[];
  seed: number;
  micro_step: number;
  p: number;
  threshold: number;
  layer_dropout: { kept: boolean[] };
  random_combine: { utterance: number; inputs: number; frames: { frame: number; weights: number[] }[] };
}

let golden: Golden;

beforeAll(async () => {
  golden = await trainingJson<Golden>('random/philox.json');
});

const step = () => ({ seed: golden.seed, microStep: golden.micro_step });

describe('philox', () => {
  it('gives the known answers of its authors', () => {
    const words = (hex: string[]) => hex.map((word) => parseInt(word, 16));
    for (const { counter, key, out } of golden.known_answers) {
      expect([...philox(words(counter), words(key))]).toEqual(words(out.split(' ')));
    }
  });
});

describe('dropoutMask', () => {
  it.each([0, 1, 2, 5, 255])('equals the golden mask of site %i', async (site) => {
    const { data, shape } = await trainingArray(`random/mask_site${site}`);
    const [batch, frames, width] = shape;
    expect(dropoutThreshold(golden.p)).toBe(golden.threshold);
    expect([...dropoutMask(step(), site, { batch, frames, width }, golden.p)]).toEqual([...data]);
  });

  it('keeps an element whatever the size of the mask', () => {
    const sizes = { batch: 2, frames: 5, width: 7 };
    const small = dropoutMask(step(), 1, sizes, 0.5);
    const large = dropoutMask(step(), 1, { batch: 3, frames: 9, width: 11 }, 0.5);
    small.forEach((kept, at) => {
      const [n, t, k] = [Math.floor(at / 35), Math.floor(at / 7) % 5, at % 7];
      expect(kept).toBe(large[(n * 9 + t) * 11 + k]);
    });
  });

  it('keeps as large a share as was asked for', () => {
    const mask = dropoutMask({ seed: 1, microStep: 0 }, 0, { batch: 4, frames: 50, width: 500 }, 0.1);
    const share = mask.reduce((sum, kept) => sum + kept, 0) / mask.length;
    // Five standard deviations of 100,000 draws.
    expect(Math.abs(share - 0.9)).toBeLessThan(5 * Math.sqrt((0.1 * 0.9) / 1e5));
  });
});

describe('layerAlphas', () => {
  it('bypasses the golden layers', () => {
    const { kept } = golden.layer_dropout;
    const alphas = layerAlphas(step(), kept.length, { probability: 0.075, warmup: 0.4 });
    expect(alphas).toEqual(kept.map((isKept) => (isKept ? 0.5 : 0.1)));
    expect(layerAlphas(step(), 1, { probability: 0, warmup: 3 })).toEqual([1]);
  });
});

describe('auxLayers', () => {
  it("are icefall's", () => {
    expect(auxLayers(2, 1)).toEqual([0, 1]);
    expect(auxLayers(3, 1)).toEqual([1, 2]);
    expect(auxLayers(6, 2)).toEqual([2, 4, 5]);
    expect(auxLayers(12, 3)).toEqual([4, 7, 10, 11]);
    expect(auxLayers(12, 0)).toEqual([]);
    expect(auxLayers(1, 1)).toEqual([]);
  });
});

describe('combineWeights', () => {
  it('equals the golden weights', () => {
    const { utterance, inputs, frames } = golden.random_combine;
    const weights = combineWeights(step(), { batch: utterance + 1, frames: frames.length }, inputs);
    const expected = frames.flatMap((frame) => frame.weights);
    expectClose(weights.subarray(utterance * expected.length), expected, { absolute: 1e-14, relative: 1e-14 });
  });

  it('takes one layer alone in a third of the frames, the last in half of those', () => {
    const [frames, inputs] = [10_000, 6];
    const weights = combineWeights({ seed: 3, microStep: 1 }, { batch: 1, frames }, inputs);
    let [pure, worst] = [0, 0];
    const chosen = new Float64Array(inputs);
    for (let frame = 0; frame < frames; frame++) {
      const own = weights.subarray(frame * inputs, (frame + 1) * inputs);
      worst = Math.max(worst, Math.abs(own.reduce((sum, weight) => sum + weight, 0) - 1));
      if (own.includes(1)) {
        pure++;
        chosen[own.indexOf(1)]++;
      }
    }
    expect(worst).toBeLessThan(1e-12);
    const isNear = (count: number, of: number, share: number) =>
      expect(Math.abs(count / of - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / of));
    isNear(pure, frames, 0.333);
    isNear(chosen[inputs - 1], pure, 0.5);
    chosen.subarray(0, inputs - 1).forEach((count) => isNear(count, pure, 0.1));
  });
});
