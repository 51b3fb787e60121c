import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint, openCheckpoint } from '../../src/checkpoint/convert.ts';
import { exportSherpaOnnx } from '../../src/checkpoint/export-onnx.ts';
import type { SherpaOnnxFiles } from '../../src/checkpoint/export-options.ts';
import { writeEncoder } from '../../src/checkpoint/onnx-encoder.ts';
import { readOnnx } from '../../src/checkpoint/onnx-graph.ts';
import { GraphWriter } from '../../src/checkpoint/onnx-writer.ts';
import { dequantizeRows, isMatrix, quantizeRows } from '../../src/model/dtypes.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { expectedTensors } from '../../src/model/sizes.ts';
import type { TensorSource } from '../../src/model/tensors.ts';
import { expectClose, expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { goldenModel, madeUpTokens, wakeWordsModel } from '../support/fixtures.ts';

/** A number that was rounded to float32 once more: half the distance of two neighbours. */
const ROUNDED_ONCE = { absolute: 0, relative: 2 ** -24 };
/** The logarithm of such a number, near 1 or smaller, rounded again. */
const ROUNDED_LOGARITHM = { absolute: 2 ** -23, relative: 2 ** -24 };

async function withTokens(name: string): Promise<ModelFiles> {
  const files = name === 'wake-words' ? await wakeWordsModel() : await goldenModel(name);
  return { ...files, 'tokens.txt': files['tokens.txt'] ?? madeUpTokens(files) };
}

const trio = (files: SherpaOnnxFiles) =>
  (['encoder.onnx', 'decoder.onnx', 'joiner.onnx'] as const).map((name) => bytesSource(files[name], name));

/** What an LSTM's biases come back as: their sum and zeros. */
async function expectedValues({ weights }: Model, tensor: string): Promise<Float32Array> {
  const stored = await weights.read(tensor);
  if (tensor.endsWith('.bias_hh_l0')) {
    return new Float32Array(stored.length);
  }
  if (tensor.endsWith('.bias_ih_l0')) {
    const other = await weights.read(tensor.replace('_ih_', '_hh_'));
    return stored.map((value, i) => value + other[i]);
  }
  return stored;
}

/** Holds what was read back against the model, bit by bit but for the eps. */
async function expectSameWeights(read: TensorSource, model: Model, tensors: Iterable<string>): Promise<void> {
  for (const tensor of tensors) {
    const [values, expected] = [await read.read(tensor), await expectedValues(model, tensor)];
    if (tensor.endsWith('.eps')) {
      expectClose(values, expected, ROUNDED_LOGARITHM, tensor);
    } else {
      expectSameBytes(values, expected, tensor);
    }
  }
}

describe('a model as sherpa-onnx reads it', () => {
  it.each([
    { model: 'wake-words', frames: 1 },
    { model: 'odd', frames: 4 },
    { model: 'noproj', frames: 3 },
    { model: 'deep', frames: 2 },
  ])('reads back as the weights of $model, $frames frames at a time', async ({ model: name, frames }) => {
    const files = await withTokens(name);
    const model = openModel(files);
    const exported = await exportSherpaOnnx(model, { frames });
    const { folded, sizes, ignored } = await openCheckpoint(trio(exported), {
      config: files['config.json'],
      tokens: exported['tokens.txt'],
    });
    expect(sizes).toEqual({ ...model.sizes, hasCtc: false });
    expect(ignored).toEqual([]);
    await expectSameWeights(folded, model, expectedTensors(sizes).keys());
  });

  it.each(['odd', 'noproj'])(
    'as int8 rounds the encoder’s matrices of %s, each output by its own scale',
    async (name) => {
      const files = await withTokens(name);
      const model = openModel(files);
      const exported = await exportSherpaOnnx(model, { frames: 2, dtype: 'int8' });
      const { folded, sizes } = await openCheckpoint(trio(exported), { config: files['config.json'] });
      const isRounded = (tensor: string) =>
        isMatrix({ shape: expectedTensors(sizes).get(tensor) ?? [] }) && /^encoder\.|encoder_proj/.test(tensor);
      const tensors = [...expectedTensors(sizes).keys()];
      expect(tensors.filter(isRounded).length).toBeGreaterThan(8);
      for (const tensor of tensors.filter(isRounded)) {
        const stored = await model.weights.read(tensor);
        const { values, scales } = quantizeRows(stored, folded.tensors.get(tensor)?.shape[0] ?? 0);
        // A scale is rounded, and its product with a whole number.
        const rounded = { absolute: 0, relative: 2 * ROUNDED_ONCE.relative };
        expectClose(await folded.read(tensor), dequantizeRows(values, scales), rounded, tensor);
      }
      await expectSameWeights(
        folded,
        model,
        tensors.filter((tensor) => !isRounded(tensor)),
      );
    },
  );

  it('exports the integers of an int8 model as they are', async () => {
    const files = await withTokens('odd');
    const config = files['config.json'];
    const source = bytesSource(files['model.safetensors'], 'model.safetensors');
    const packed = openModel({ ...files, ...(await convertCheckpoint(source, { config, dtype: 'int8' })) });
    const exported = await exportSherpaOnnx(packed, { dtype: 'int8' });
    const { folded } = await openCheckpoint(trio(exported), { config });
    const tensor = 'encoder.encoder.layers.1.lstm.weight_ih_l0';
    const [before, after] = await Promise.all([packed.weights.read(tensor), folded.read(tensor)]);
    const rows = packed.weights.tensors.get(tensor)?.shape[0] ?? 0;
    expect(quantizeRows(after, rows).values).toEqual(quantizeRows(before, rows).values);
  });

  it('says of itself what sherpa-onnx asks for', async () => {
    const exported = await exportSherpaOnnx(openModel(await wakeWordsModel()), { frames: 3 });
    const metadata = (bytes: Uint8Array) => Object.fromEntries(readOnnx(bytes).metadata);
    expect(metadata(exported['encoder.onnx'])).toEqual({
      model_type: 'lstm',
      version: '1',
      model_author: 'k2-fsa',
      decode_chunk_len: '12',
      T: '17',
      num_encoder_layers: '4',
      d_model: '128',
      rnn_hidden_size: '256',
    });
    expect(metadata(exported['decoder.onnx'])).toEqual({ context_size: '2', vocab_size: '29' });
    expect(metadata(exported['joiner.onnx'])).toEqual({ joiner_dim: '128' });
    expect(exported['tokens.txt'].split('\n').slice(0, 3)).toEqual(['<blk> 0', '▁ 1', 'a 2']);
  });

  it('is refused for models that sherpa-onnx would hear something else with', async () => {
    const model = openModel(await withTokens('odd'));
    const refused = (changed: Partial<Model>) => failure('bad-model', () => exportSherpaOnnx({ ...model, ...changed }));
    const { config, sizes } = model;
    expect(await refused({ sizes: { encoder: sizes.encoder, hasCtc: false } })).toContain('a transducer head');
    expect(await refused({ tokens: undefined })).toContain('without tokens.txt');
    expect(await refused({ config: { ...config, blankId: 3 } })).toContain('blank_id: 3');
    const features = { ...config.features, snipEdges: true };
    expect(await refused({ config: { ...config, features } })).toContain('snipEdges true');
    const weights: TensorSource = {
      tensors: model.weights.tensors,
      read: async (name) => (await model.weights.read(name)).fill(NaN, 0, name === 'joiner.output_linear.bias' ? 1 : 0),
    };
    expect(await refused({ weights })).toContain('NaN at element 0 of joiner.output_linear.bias');
    // These it is told.
    const told = { ...config.features, sampleRate: 8000 };
    await exportSherpaOnnx({ ...model, config: { ...config, features: told } });
  });

  it.each([
    { option: 'frames of 0', options: { frames: 0 } },
    { option: 'half a frame', options: { frames: 1.5 } },
    { option: 'too many frames', options: { frames: 129 } },
    { option: 'another dtype', options: { dtype: 'f16' as 'f32' } },
  ])('refuses $option', async ({ options }) => {
    const model = openModel(await withTokens('odd'));
    await failure('bad-argument', () => exportSherpaOnnx(model, options));
  });
});

describe('an ONNX file', () => {
  it('is refused where it would be larger than protobuf allows', async () => {
    const graph = new GraphWriter('encoder');
    const half = new Float32Array(2 ** 28);
    graph.floats('one half', [half.length], half);
    graph.floats('the other', [half.length], half);
    expect(await failure('bad-model', async () => graph.finish())).toContain('at most 2147483647');
  });
});

describe('an encoder with states of its own for each layer', () => {
  it.each(['wake-words', 'noproj'])('reads back as the encoder of %s', async (name) => {
    const files = await withTokens(name);
    const model = openModel(files);
    const onnx = await writeEncoder(model, { frames: 4, states: 'perLayer', withProjection: false, dtype: 'f32' });
    const { folded, sizes } = await openCheckpoint(bytesSource(onnx), { config: files['config.json'] });
    expect(sizes).toEqual({ encoder: model.sizes.encoder, hasCtc: false });
    await expectSameWeights(folded, model, expectedTensors(sizes).keys());
  });
});
