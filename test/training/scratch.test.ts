import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/model.ts';
import { initialModel, sizesOf } from '../../src/training/scratch.ts';
import { failure } from '../support/failure.ts';

const tokens = ['<blk>', '<unk>', '▁a', 'b', 'c'].map((token, id) => `${token} ${id}\n`).join('');
const options = { seed: 5, tokens, heads: ['ctc', 'transducer'] } as const;
const { files, scales } = await initialModel('2x18', options);
const { sizes, weights, config } = openModel(files);

const layer = (index: number, name: string) => `encoder.encoder.layers.${index}.${name}`;
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const deviation = (values: Float32Array) => Math.hypot(...values) / Math.sqrt(values.length);

/** Stored weights are float32, their scales are not. */
const ROUNDED = 1e-6;
/** A share of the standard deviation of a thousand draws: three times its own. */
const OF_DRAWS = 0.07;

describe('a model from scratch', () => {
  it("has icefall's proportions, and the tokens' heads", () => {
    expect(sizes.encoder).toEqual(sizesOf('2x18'));
    expect(sizes).toMatchObject({ vocabSize: 5, hasCtc: true, transducer: { contextSize: 2 } });
    expect(sizesOf('12x512')).toMatchObject({ dModel: 512, rnnHiddenSize: 1024, dimFeedforward: 2048 });
    expect(config).toMatchObject({ blankId: 0, unkId: 1 });
  });

  it.each<[string, number, number]>([
    ['encoder.encoder_embed.conv.3.weight', 9 * 8, 1],
    ['encoder.encoder_embed.out.weight', 128 * 18, 1],
    [layer(0, 'lstm.weight_ih_l0'), 36, 1],
    [layer(1, 'lstm.weight_hr_l0'), 36, 1],
    [layer(1, 'feed_forward.0.weight'), 18, 1],
    [layer(0, 'feed_forward.4.weight'), 72, 0.25],
    ['joiner.encoder_proj.weight', 18, 1],
  ])('draws %s uniformly, by its scale', async (name, fanIn, initialScale) => {
    const std = initialScale * fanIn ** -0.5;
    expect(scales.get(name)).toBeCloseTo(Math.log(std / 0.1), 12);
    const values = await weights.read(name);
    expect(largest(values)).toBeLessThanOrEqual(Math.sqrt(3) * std * (1 + ROUNDED));
    expect(Math.abs(deviation(values) / std - 1)).toBeLessThan(values.length > 1000 ? OF_DRAWS : 3 * OF_DRAWS);
  });

  it("draws the embedding normally, and the CTC head as PyTorch's linear layer", async () => {
    const embedding = await weights.read('decoder.embedding.weight');
    expect(scales.get('decoder.embedding.weight')).toBeCloseTo(Math.log(10), 12);
    expect(Math.abs(deviation(embedding) - 1)).toBeLessThan(0.25);
    expect(largest(embedding)).toBeGreaterThan(Math.sqrt(3));
    for (const name of ['ctc_output.1.weight', 'ctc_output.1.bias']) {
      expect(scales.has(name)).toBe(false);
      const values = await weights.read(name);
      expect(largest(values)).toBeLessThanOrEqual(18 ** -0.5);
      expect(new Set(values).size).toBe(values.length);
    }
  });

  it('has biases of zero with scales, and eps of a quarter without', async () => {
    for (const [name, scale] of [
      [layer(0, 'lstm.bias_hh_l0'), 0],
      [layer(1, 'feed_forward.4.bias'), Math.log(0.25)],
      ['encoder.encoder_embed.conv.0.bias', 0],
    ] as const) {
      expect(scales.get(name)).toBe(scale);
      expect(largest(await weights.read(name))).toBe(0);
    }
    for (const name of ['encoder.encoder_embed.out_norm.eps', layer(1, 'norm_final.eps')]) {
      expect(scales.has(name)).toBe(false);
      expect(await weights.read(name)).toEqual(Float32Array.of(Math.log(0.25)));
    }
  });

  it('is the same for one seed, and another for each tensor, layer and seed', async () => {
    const again = await initialModel('2x18', options);
    expect(Buffer.from(again.files['model.safetensors']).equals(files['model.safetensors'])).toBe(true);
    const other = openModel((await initialModel('2x18', { ...options, seed: 6 })).files);
    const name = layer(0, 'lstm.weight_hh_l0');
    const first = [...(await weights.read(name)).subarray(0, 8)];
    for (const values of [await weights.read(layer(1, 'lstm.weight_hh_l0')), await other.weights.read(name)]) {
      expect([...values.subarray(0, 8)]).not.toEqual(first);
    }
  });

  it('takes the features of a config', async () => {
    const own = await initialModel('1x4', { seed: 1, tokens, config: '{"num_features": 40}' });
    expect(openModel(own.files)).toMatchObject({
      config: { features: { numMelBins: 40 } },
      sizes: { encoder: { numFeatures: 40 } },
    });
  });

  it.each([
    ['6x', 1],
    ['0x256', 1],
    ['101x8', 1],
    ['2x8192', 1],
    ['2x8', -1],
    ['2x8', 0.5],
  ])('is refused of %s by seed %s', async (name, seed) => {
    await failure('bad-argument', () => initialModel(name, { seed, tokens }));
  });
});
