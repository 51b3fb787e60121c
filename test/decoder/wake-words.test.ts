import { beforeAll, describe, expect, it } from 'vitest';
import { CtcKeywordSpotter } from '../../src/decoder/ctc-keyword-spotter.ts';
import { TransducerJoiner } from '../../src/decoder/joiner.ts';
import type { Keyword, KeywordDecoder } from '../../src/decoder/keywords.ts';
import { parseKeywords } from '../../src/decoder/phrase-files.ts';
import { TransducerKeywordSpotter } from '../../src/decoder/transducer-keyword-spotter.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { readArray, sampleJson, wakeWordsModel } from '../support/fixtures.ts';

/** PyTorch's outputs of the bundled recordings, without tail padding. */
const RECORDINGS = ['stream', 'computer', 'jarvis', 'smart-mirror'] as const;

describe('keywords in the bundled recordings, each phrase alone and all of them', () => {
  let model: Model;
  let keywords: Keyword[];
  let said: Record<string, string[]>;
  beforeAll(async () => {
    model = openModel(await wakeWordsModel());
    keywords = model.tokens ? parseKeywords(model.keywords ?? '', model.tokens) : [];
    const stream = await sampleJson<{ keywords: { keyword: string }[] }>('stream');
    said = Object.fromEntries(RECORDINGS.map((name) => [name, [name.replace('-', ' ')]]));
    said.stream = stream.keywords.map(({ keyword }) => keyword);
  });

  /** Rows of `outputs` numbers from rows of `inputs`: y = W x + b. */
  async function project(x: Float32Array, layer: string): Promise<Float32Array> {
    const weight = await model.weights.read(`${layer}.weight`);
    const bias = await model.weights.read(`${layer}.bias`);
    const inputs = weight.length / bias.length;
    return Float32Array.from({ length: (x.length / inputs) * bias.length }, (_, i) => {
      const [row, o] = [Math.floor(i / bias.length), i % bias.length];
      return (
        bias[o] + weight.subarray(o * inputs, (o + 1) * inputs).reduce((sum, w, k) => sum + w * x[row * inputs + k], 0)
      );
    });
  }

  const options = () => ({ vocabSize: model.sizes.vocabSize ?? 0, ...model.config });

  async function check(
    create: (own: readonly Keyword[]) => KeywordDecoder,
    outputs: (name: string) => Promise<Float32Array>,
  ) {
    expect(keywords).toHaveLength(8);
    for (const name of RECORDINGS) {
      const values = await outputs(name);
      const hear = (own: readonly Keyword[]) => {
        const decoder = create(own);
        decoder.accept(values);
        decoder.finish();
        return decoder.takeHits().map(({ keyword }) => keyword);
      };
      expect(hear(keywords), name).toEqual(said[name]);
      for (const keyword of keywords) {
        expect(hear([keyword]), `${keyword.phrase} in ${name}`).toEqual(
          said[name].filter((phrase) => phrase === keyword.phrase),
        );
      }
    }
  }

  it('are heard over the CTC head, and nothing else', async () => {
    await check(
      (own) => new CtcKeywordSpotter(own, options()),
      async (name) => (await readArray(`wake-words/golden/${name}.ctc_log_probs.npy`)).data,
    );
  });

  it('are heard over the transducer, and nothing else', async () => {
    const joiner = await TransducerJoiner.load(model);
    await check(
      (own) => new TransducerKeywordSpotter(joiner, own, options()),
      async (name) =>
        project((await readArray(`wake-words/golden/${name}.encoder_out.npy`)).data, 'joiner.encoder_proj'),
    );
  });
});
