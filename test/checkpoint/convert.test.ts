import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint, openCheckpoint } from '../../src/checkpoint/convert.ts';
import { openModel } from '../../src/model/model.ts';
import { foldScales } from '../../src/checkpoint/fold.ts';
import { countParameters, expectedTensors } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import { op, torchZip } from '../support/checkpoints.ts';
import { largestDifference } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { readFixture, wakeWordsModel } from '../support/fixtures.ts';
import { testsAll } from '../support/scope.ts';

const format = async (name: string) => bytesSource(await readFixture(`golden/formats/${name}.pt`));
const small = async () => bytesSource(await readFixture('golden/small/checkpoint.pt'));
const text = async (path: string) => new TextDecoder().decode(await readFixture(path));

/** Half and bfloat16 round each weight, and each log-scale, to 11 and 8 bits. */
const HALF = 2 ** -10;
const BFLOAT16 = 2 ** -6;

describe('convertCheckpoint', () => {
  it('gives the bundled model, byte for byte', async () => {
    const source = bytesSource(await readFixture('wake-words/checkpoint.pt'));
    const bundled = await wakeWordsModel();
    const converted = await convertCheckpoint(source, {
      config: await text('wake-words/config.json'),
      tokens: bundled['tokens.txt'],
    });
    expect(converted['config.json']).toBe(bundled['config.json']);
    expect(converted['tokens.txt']).toBe(bundled['tokens.txt']);
    expect(Buffer.compare(converted['model.safetensors'], bundled['model.safetensors'])).toBe(0);
  });

  it.each([
    { name: 'ddp_module_prefix', relative: 0 },
    { name: 'non_contiguous', relative: 0 },
    { name: 'one_shared_storage', relative: 0 },
    { name: 'training_checkpoint', relative: 0 },
    { name: 'model_state_dict_encoder_only', relative: 0 },
    { name: 'bare_rnn_state_dict', relative: 0 },
    { name: 'legacy', relative: 0 },
    // Folded by PyTorch in float32, here in float64; its norm eps are constants of the code.
    { name: 'encoder_jit_trace', relative: 2 ** -21 },
    { name: 'double', relative: 2 ** -23 },
    { name: 'half', relative: HALF },
    { name: 'bfloat16', relative: BFLOAT16 },
  ])('reads $name as the checkpoint it was made from', async ({ name, relative }) => {
    const reference = openModel(await convertCheckpoint(await small()));
    const model = openModel(await convertCheckpoint(await format(name)));
    expect(model.sizes.encoder).toEqual(reference.sizes.encoder);
    for (const tensor of expectedTensors(model.sizes).keys()) {
      const [actual, expected] = await Promise.all([model, reference].map(({ weights }) => weights.read(tensor)));
      const largest = Math.max(...expected.map(Math.abs));
      expect(largestDifference(actual, expected), tensor).toBeLessThanOrEqual(relative * largest);
    }
  });

  it('reads the ONNX trio of icefall’s export, and its encoder alone', async () => {
    const onnx = async (name: string) => bytesSource(await readFixture(`golden/formats/${name}.onnx`));
    const trio = await Promise.all(['joiner', 'encoder', 'decoder'].map(onnx));
    const reference = openModel(await convertCheckpoint(await small()));
    const model = openModel(await convertCheckpoint(trio));
    expect(model.sizes).toEqual(reference.sizes);
    const isBias = (name: string) => /bias_[ih]h_l0$/.test(name);
    for (const name of [...expectedTensors(model.sizes).keys()].filter((each) => !isBias(each))) {
      const [actual, expected] = await Promise.all([model, reference].map(({ weights }) => weights.read(name)));
      const largest = Math.max(...expected.map(Math.abs));
      expect(largestDifference(actual, expected), name).toBeLessThanOrEqual(2 ** -21 * largest);
    }
    // The export has one bias for the gates: the sum.
    for (let l = 0; l < 3; l++) {
      const sum = async ({ weights }: typeof model) => {
        const [ih, hh] = await Promise.all(
          ['ih', 'hh'].map((part) => weights.read(`encoder.encoder.layers.${l}.lstm.bias_${part}_l0`)),
        );
        return ih.map((value, i) => value + hh[i]);
      };
      expect(largestDifference(await sum(model), await sum(reference))).toBeLessThan(1e-5);
    }
    const alone = openModel(await convertCheckpoint(await onnx('encoder')));
    expect(alone.sizes.encoder).toEqual(reference.sizes.encoder);
    expect([alone.sizes.transducer, alone.sizes.hasCtc]).toEqual([undefined, false]);
  });

  it('reads its own safetensors, as anybody else’s with PyTorch’s names', async () => {
    const files = await convertCheckpoint(await small());
    const again = await convertCheckpoint(bytesSource(files['model.safetensors']));
    expect(Buffer.compare(again['model.safetensors'], files['model.safetensors'])).toBe(0);
  });

  it('takes the averaged model of a training checkpoint when asked to', async () => {
    const averaged = openModel(
      await convertCheckpoint(await format('training_checkpoint'), { useAveragedModel: true }),
    );
    expect(averaged.sizes).toEqual(openModel(await convertCheckpoint(await small())).sizes);
    const none = failure('bad-checkpoint', async () => convertCheckpoint(await small(), { useAveragedModel: true }));
    expect(await none).toContain('model_avg');
  });

  it('takes the norm eps of a folded state dict from its checkpoint, and asks for it otherwise', async () => {
    const message = await failure('bad-checkpoint', async () => convertCheckpoint(await format('non_scaled')));
    expect(message).toContain('no tensor encoder.encoder_embed.out_norm.eps');
    expect(message).toContain('--norm-eps-from');
    const folded = await convertCheckpoint(await format('non_scaled'), { normEpsFrom: await small() });
    const [a, b] = [folded, await convertCheckpoint(await small())].map(openModel);
    for (const tensor of expectedTensors(a.sizes).keys()) {
      const [actual, expected] = await Promise.all([a, b].map(({ weights }) => weights.read(tensor)));
      const largest = Math.max(...expected.map(Math.abs));
      // PyTorch folded in float32, here exp and product are float64.
      expect(largestDifference(actual, expected), tensor).toBeLessThanOrEqual(2 ** -22 * largest);
    }
  });

  it('infers every size, and counts the parameters of each part', async () => {
    const { sizes, ignored } = await openCheckpoint(bytesSource(await readFixture('wake-words/checkpoint.pt')));
    expect(sizes.encoder).toEqual({
      numFeatures: 80,
      channels: [8, 32, 128],
      dModel: 128,
      rnnHiddenSize: 256,
      hasProjection: true,
      dimFeedforward: 512,
      numEncoderLayers: 4,
    });
    const counts = countParameters(sizes);
    expect(counts).toEqual({ encoder: 2_049_136, decoder: 3_968, joiner: 36_765, ctc_output: 3_741 });
    expect(ignored).toEqual([]);
  });

  it('counts the full model as the specification does', () => {
    const sizes = {
      encoder: {
        numFeatures: 80,
        channels: [8, 32, 128] as const,
        dModel: 512,
        rnnHiddenSize: 1024,
        hasProjection: true,
        dimFeedforward: 2048,
        numEncoderLayers: 12,
      },
      vocabSize: 500,
      transducer: { decoderDim: 512, contextSize: 2, joinerDim: 512 },
      hasCtc: false,
    };
    expect(countParameters(sizes)).toEqual({ encoder: 83_137_520, decoder: 257_024, joiner: 781_812 });
  });

  it('converts a network of the smallest sizes, and refuses NaN in it by name', async () => {
    const sizes = {
      encoder: {
        numFeatures: 9,
        channels: [1, 1, 1] as const,
        dModel: 1,
        rnnHiddenSize: 2,
        hasProjection: true,
        dimFeedforward: 1,
        numEncoderLayers: 1,
      },
      hasCtc: false,
    };
    const names = [...expectedTensors(sizes)];
    const build = (broken?: string) => {
      const entries = names.flatMap(([name, shape], key) => {
        const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
        return [...op.string(name), ...op.tensor(String(key), elementCount(shape), 0, shape, strides)];
      });
      const storages = names.map(([name, shape]) =>
        new Float32Array(elementCount(shape)).fill(name === broken ? NaN : 0.5),
      );
      return torchZip(
        [...op.proto, ...op.emptyDict, ...op.mark, ...entries, ...op.setItems, ...op.stop],
        Object.fromEntries(storages.entries()),
      );
    };
    const model = openModel(await convertCheckpoint(await build(), { config: '{"num_features": 9}' }));
    expect(model.sizes).toMatchObject(sizes);
    const broken = 'encoder.encoder.layers.0.lstm.bias_hh_l0';
    const source = await build(broken);
    expect(
      await failure('bad-checkpoint', () => convertCheckpoint(source, { config: '{"num_features": 9}' })),
    ).toContain(`NaN at element 0 of ${broken}`);
  });

  it('refuses what the config contradicts, and tokens of another model', async () => {
    const refuse = async (options: { config?: string; tokens?: string }) =>
      failure('bad-model', async () => convertCheckpoint(await small(), options));
    expect(await refuse({ config: '{"d_model": 512}' })).toContain('d_model: 512');
    expect(await refuse({ config: '{"feature": {"use_energy": true}}' })).toContain('use_energy');
    expect(await refuse({ config: '{"feature": {"num_mel_bins": 400}}' })).toContain('of 400 mel bins');
    expect(await refuse({ config: '{"encoder_dim": 9}' })).toContain('d_model: 9');
    expect(await refuse({ config: '{"blank_id": 99}' })).toContain('blank_id: 99');
    expect(await refuse({ config: 'not json' })).toContain('not JSON');
    expect(await refuse({ tokens: 'a 0\nb 1\n' })).toContain('2 tokens');
  });

  it('takes the mel bins by whichever name a config has them, and a config as an editor may save it', async () => {
    const { sizes } = await openCheckpoint(await small());
    // One fewer gives the same shapes.
    const numFeatures = sizes.encoder.numFeatures - 1;
    for (const config of [
      { num_features: numFeatures },
      { encoder: { num_features: numFeatures } },
      { encoder: {}, num_features: numFeatures },
      { feature_dim: numFeatures },
      { feature: { num_mel_bins: numFeatures } },
    ]) {
      const opened = await openCheckpoint(await small(), { config: `\uFEFF${JSON.stringify(config)}` });
      expect(opened.sizes.encoder.numFeatures, JSON.stringify(config)).toBe(numFeatures);
      expect(opened.config.features.numMelBins).toBe(numFeatures);
    }
  });

  it('asks for the rest of a network of which it got a part', async () => {
    const part = bytesSource(await readFixture('golden/formats/joiner.onnx'));
    expect(await failure('bad-checkpoint', () => openCheckpoint(part))).toContain(
      'name encoder, decoder and joiner together',
    );
  });

  it.each([
    { prefix: '' },
    { prefix: 'module.' },
    { prefix: 'model._orig_mod.module.' },
    { prefix: '_forward_module.model.' },
    { prefix: 'asr.network.' },
    { prefix: '', inside: '_orig_mod.' },
    { prefix: 'net.', inside: '_fsdp_wrapped_module.' },
    { prefix: 'asr.', inside: 'module._orig_mod.' },
    { prefix: 'asr.', encoder: 'rnn.' },
    { prefix: 'module.', encoder: 'acoustic.', inside: '_orig_mod.' },
  ])(
    'finds the network behind $prefix, its encoder in $encoder$inside',
    ({ prefix, encoder = 'encoder.', inside = '' }) => {
      const network = {
        [`${prefix}${encoder}${inside}encoder_embed.conv.0.weight`]: 'encoder.encoder_embed.conv.0.weight',
        [`${prefix}${encoder}encoder.layers.0.${inside}norm_final.eps`]: 'encoder.encoder.layers.0.norm_final.eps',
        [`${prefix}decoder.${inside}embedding.weight`]: 'decoder.embedding.weight',
        [`${prefix}joiner.output_linear.weight`]: 'joiner.output_linear.weight',
        [`${prefix}ctc_output.1.weight`]: 'ctc_output.1.weight',
      };
      const beside = ['n_averaged', 'criterion.pos_weight', 'language_model.encoder.weight'];
      const names = [...beside, ...Object.keys(network)];
      const tensors = new Map(names.map((name) => [name, { dtype: 'F32', shape: [1] }]));
      const folded = foldScales({ tensors, read: async () => new Float32Array(1) });
      expect([...folded.tensors.keys()].filter((name) => !beside.includes(name))).toEqual(Object.values(network));
    },
  );

  it.each(['', 'module.', 'encoder.'])('finds a lone encoder behind %j', (prefix) => {
    const names = ['encoder_embed.conv.0.weight', 'encoder.layers.0.norm_final.eps'];
    const tensors = new Map(names.map((name) => [prefix + name, { dtype: 'F32', shape: [1] }]));
    const folded = foldScales({ tensors, read: async () => new Float32Array(1) });
    expect([...folded.tensors.keys()]).toEqual(names.map((name) => `encoder.${name}`));
  });

  it('takes no weight for its own that another module has, wrappers or not', () => {
    const inside = 'model.encoder.encoder_embed.conv.0.weight';
    const names = ['joiner.output_linear.weight', inside, 'model.joiner.output_linear.weight', 'joiner.extra'];
    const tensors = new Map(names.map((name, i) => [name, { dtype: 'F32', shape: [i] }]));
    const folded = foldScales({ tensors, read: async () => new Float32Array(1) });
    expect(folded.tensors.get('joiner.output_linear.weight')?.shape).toEqual([2]);
    expect(folded.outside).toEqual(['joiner.output_linear.weight']);
  });

  it('refuses two encoders, and names both', async () => {
    const names = [
      'student.encoder.encoder_embed.conv.0.weight',
      'teacher.encoder._orig_mod.encoder_embed.conv.0.weight',
    ];
    const tensors = new Map(names.map((name) => [name, { dtype: 'F32', shape: [1] }]));
    const message = await failure('bad-checkpoint', () =>
      foldScales({ tensors, read: async () => new Float32Array(1) }),
    );
    names.forEach((name) => expect(message).toContain(`"${name.slice(0, 60)}`));
  });

  const sample = async (name: string) => bytesSource(await readFixture(`checkpoints/${name}`));

  it('takes constants of ONNX as attributes, as it takes them as tensors', async () => {
    const [tensors, attributes] = await Promise.all(
      ['onnx-control.onnx', 'onnx-value-float.onnx'].map(async (name) => convertCheckpoint(await sample(name))),
    );
    expect(Buffer.compare(attributes['model.safetensors'], tensors['model.safetensors'])).toBe(0);
  });

  /** Parts of an export beside the state dict that they were made from (exports.py). */
  const compareExport = async (kind: string, parts: readonly string[], form: string, step: number) => {
    const reference = openModel(
      await convertCheckpoint(await sample(`exports/${kind}.pt`), { config: '{"num_features": 13}' }),
    );
    const sources = await Promise.all(parts.map((part) => sample(`exports/${kind}-${part}${form}.onnx`)));
    const model = openModel(await convertCheckpoint(sources, { config: '{"num_features": 13}' }));
    expect(model.sizes.encoder).toEqual(reference.sizes.encoder);
    let rounded = 0;
    for (const name of expectedTensors(model.sizes).keys()) {
      // Exports have the sum of an LSTM's biases, or both.
      const both = async ({ weights }: typeof model) => {
        const values = await weights.read(name);
        const other = name.includes('bias_ih') ? await weights.read(name.replace('_ih_', '_hh_')) : undefined;
        return other ? values.map((value, i) => value + other[i]) : values;
      };
      if (!name.includes('bias_hh')) {
        const [actual, expected] = await Promise.all([model, reference].map(both));
        const difference = largestDifference(actual, expected);
        const isMatrix = name.endsWith('weight') || /weight_[ih][hr]_l0$/.test(name);
        const largest = Math.max(...expected.map(Math.abs));
        expect(difference, name).toBeLessThanOrEqual(largest * (isMatrix ? step + 2 ** -20 : 2 ** -20));
        rounded += difference > largest * 2 ** -20 ? 1 : 0;
      }
    }
    return rounded;
  };

  const TRIO = ['joiner', 'encoder', 'decoder'] as const;
  /** Half of what lies between neighbours of 8 bits, of the largest weight. */
  const HALF_STEP = 1 / 254;

  it.each([
    { kind: 'projected', parts: TRIO, form: '', matrices: 0 },
    // Encoder: out, ih, hh, hr and two of the feed-forward in two layers, joiner.encoder_proj; decoder_proj, output_linear.
    { kind: 'projected', parts: TRIO, form: '.int8', matrices: 14 },
    { kind: 'projected', parts: TRIO, form: '.int8-channels', matrices: 14 },
    // Three convolutions and the embedding as well.
    { kind: 'projected', parts: TRIO, form: '.int8-all', matrices: 18 },
    { kind: 'plain', parts: ['encoder'], form: '', matrices: 0 },
    { kind: 'plain', parts: ['encoder'], form: '.int8', matrices: 9 },
    { kind: 'plain', parts: ['encoder'], form: '.int8-channels', matrices: 9 },
    { kind: 'plain', parts: ['encoder'], form: '.int8-all', matrices: 12 },
  ])('reads PyTorch’s export of a $kind LSTM$form within its rounding', async ({ kind, parts, form, matrices }) => {
    expect(await compareExport(kind, parts, form, HALF_STEP)).toBe(matrices);
  });

  it('reads an export whose weights lie in another file', async () => {
    const config = '{"num_features": 13}';
    const named = async (name: string) => bytesSource(await readFixture(`checkpoints/exports/${name}`), name);
    const inside = await convertCheckpoint(await named('projected-encoder.onnx'), { config });
    const files = [await named('external.onnx.data'), await named('external.onnx')];
    const outside = await convertCheckpoint(files, { config });
    expect(Buffer.compare(outside['model.safetensors'], inside['model.safetensors'])).toBe(0);
  });

  it('takes floats where an ONNX folder has the same part in 8 bits as well', async () => {
    const config = '{"num_features": 13}';
    const named = async (name: string) => bytesSource(await readFixture(`checkpoints/exports/${name}`), name);
    const [floats, int8] = [await named('projected-encoder.onnx'), await named('projected-encoder.int8.onnx')];
    const alone = await convertCheckpoint(floats, { config });
    const both = await convertCheckpoint([floats, int8], { config });
    expect(Buffer.compare(both['model.safetensors'], alone['model.safetensors'])).toBe(0);
  });

  it.each([
    { start: 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 330\n', says: 'a Git LFS pointer' },
    { start: '\n<!DOCTYPE html><html>', says: 'a web page' },
    { start: '<?xml version="1.0"?><Error>', says: 'an XML document' },
    { start: '\x1f\x8b\x08', says: 'a gzip archive' },
  ])('names what is $says, and which file of the trio it is', async ({ start, says }) => {
    const joiner = bytesSource(
      Uint8Array.from(start, (letter) => letter.charCodeAt(0)),
      'joiner.onnx',
    );
    const encoder = bytesSource(await readFixture('checkpoints/exports/projected-encoder.onnx'), 'encoder.onnx');
    const message = await failure('bad-checkpoint', () => convertCheckpoint([encoder, joiner]));
    expect(message).toContain(`joiner.onnx, which is ${says}`);
  });

  it('refuses what stands in the place of a weight that it needs, and no other', async () => {
    const names = ['encoder.encoder_embed.conv.0.weight', 'encoder.encoder_embed.conv.3.weight'];
    const pickle = [
      ...op.proto,
      ...op.emptyDict,
      ...op.mark,
      ...op.string(names[0]),
      ...op.tensor('0', 9, 0, [1, 1, 3, 3], [9, 9, 3, 1]),
      ...op.string(names[1]),
      ...op.global('torch._utils', '_rebuild_qtensor'),
      ...op.emptyTuple,
      ...op.reduce,
      ...op.setItems,
      ...op.stop,
    ];
    const source = await torchZip(pickle, { 0: new Float32Array(9) });
    expect(await failure('bad-checkpoint', () => openCheckpoint(source))).toContain(
      `${names[1]}, a value of "torch._utils._rebuild_qtensor"`,
    );
  });

  it.each([
    { table: '<blk> <sos/eos> <unk>', stated: {}, blank: 0, unk: 2 },
    { table: '<eps> <UNK> a', stated: {}, blank: 0, unk: 1 },
    { table: 'a b <blank>', stated: {}, blank: 2, unk: undefined },
    { table: '<eps> <blk> [unk]', stated: {}, blank: 1, unk: 2 },
    { table: 'a b c', stated: {}, blank: 0, unk: undefined },
    { table: '<blk> <unk> a', stated: { blank_id: 2, unk_id: 0 }, blank: 2, unk: 0 },
    { table: '<blk> <unk> a', stated: { unk_id: null }, blank: 0, unk: undefined },
  ])('takes blank and unknown token from $table and $stated', async ({ table, stated, blank, unk }) => {
    const { sizes } = await openCheckpoint(await small());
    const names = table.split(' ');
    const tokens = Array.from({ length: sizes.vocabSize ?? 0 }, (_, id) => `${names[id] ?? `x${id}`} ${id}\n`).join('');
    const files = await convertCheckpoint(await small(), { tokens, config: JSON.stringify(stated) });
    expect(openModel(files).config).toMatchObject({ blankId: blank, unkId: unk });
    // A folder whose config.json was written before does not say.
    const { blank_id, unk_id, ...older } = JSON.parse(files['config.json']) as Record<string, unknown>;
    expect(blank_id).toBe(blank);
    if (!('unk_id' in stated)) {
      expect(unk_id).toBe(unk);
      expect(openModel({ ...files, 'config.json': JSON.stringify({ ...older, ...stated }) }).config.unkId).toBe(unk);
    }
  });

  it.each([
    { name: 'pt-python313-path.pt', ignored: [] },
    { name: 'pt-torch-version.pt', ignored: [] },
    { name: 'pt-parameter-with-state.pt', ignored: [] },
    { name: 'pt-lightning-extra-key.ckpt', ignored: ['criterion.pos_weight'] },
    { name: 'pt-expanded-buffer.pt', ignored: ['encoder.grid'] },
  ])('reads $name as the same network without what is odd in it', async ({ name, ignored }) => {
    const control = await convertCheckpoint(await sample('control.pt'));
    const files = await convertCheckpoint(await sample(name));
    expect(files['config.json']).toBe(control['config.json']);
    expect(Buffer.compare(files['model.safetensors'], control['model.safetensors'])).toBe(0);
    expect((await openCheckpoint(await sample(name))).ignored).toEqual(ignored);
  });

  it.runIf(testsAll)('keeps the layers that are named, in their order', async () => {
    const config = await text('wake-words/config.json');
    const options = { config, tokens: (await wakeWordsModel())['tokens.txt'] };
    const source = bytesSource(await readFixture('wake-words/checkpoint.pt'));
    const whole = openModel(await convertCheckpoint(source, options));
    const pruned = openModel(await convertCheckpoint(source, { ...options, layers: [2, 0] }));
    expect(pruned.sizes).toEqual({ ...whole.sizes, encoder: { ...whole.sizes.encoder, numEncoderLayers: 2 } });
    for (const name of pruned.weights.tensors.keys()) {
      const stored = name.replace(/layers\.(\d)/, (_, layer: string) => `layers.${[2, 0][Number(layer)]}`);
      expect(await pruned.weights.read(name), name).toEqual(await whole.weights.read(stored));
    }
    for (const layers of [[], [4], [-1], [0.5]]) {
      await failure('bad-argument', () => convertCheckpoint(source, { ...options, layers }));
    }
  });
});
