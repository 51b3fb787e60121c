import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { encodeBatch } from '../../src/encoder/batch.ts';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectClose, expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { readFixture, readGolden } from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';

/** An int8 sum is scaled once at its end, not weight by weight: a few roundings apart. */
const INT8_TOLERANCE = { absolute: 5e-5, relative: 0 };

/** Others give the same bytes, and would be held against these first. */
const PLAIN = { convolutions: 'plain', matrices: 'plain' } as const;

const convert = async (dtype: WeightDtype, layers?: number[]): Promise<Model> =>
  openModel(await convertCheckpoint(bytesSource(await readFixture('golden/odd/checkpoint.pt')), { dtype, layers }));

async function encode(model: Model, dtype?: WeightDtype | 'auto') {
  const gpu = await createNodeContext();
  const { features, lengths } = await readGolden('odd');
  const encoder = await WebGpuEncoder.create(gpu, model, { maxStreams: lengths.length, dtype, kernels: PLAIN });
  try {
    const { encoderOut } = await encodeBatch(encoder, features, lengths);
    return { encoderOut, dtype: encoder.dtype, weights: gpu.memory.get('weights') ?? 0 };
  } finally {
    encoder.dispose();
  }
}

describe('packed weights', () => {
  it.each(alsoInAll([['int8', 'I8'] as const], [['f16', 'F16'] as const]))(
    'of %s give what their values give in f32, from fewer bytes',
    async (dtype, stored) => {
      const model = await convert(dtype);
      expect(model.weights.tensors.get('encoder.encoder.layers.0.lstm.weight_hh_l0')?.dtype).toBe(stored);
      const [packed, plain] = [await encode(model), await encode(model, 'f32')];
      expect([packed.dtype, plain.dtype]).toEqual([dtype, 'f32']);
      expect(packed.weights).toBeLessThan(plain.weights);
      if (dtype === 'f16') {
        expectSameBytes(packed.encoderOut, plain.encoderOut, 'f16');
      } else {
        expectClose(packed.encoderOut, Float64Array.from(plain.encoderOut), INT8_TOLERANCE, 'int8');
      }
    },
  );

  it.runIf(testsAll)('can be made at load from an f32 folder, with the same result', async () => {
    for (const dtype of alsoInAll<WeightDtype>(['int8'], ['f16'])) {
      const [stored, made] = [await encode(await convert(dtype)), await encode(await convert('f32'), dtype)];
      expectSameBytes(made.encoderOut, stored.encoderOut, dtype);
    }
  });

  it('of an unknown type are refused', async () => {
    const model = await convert('f32');
    const message = await failure('bad-argument', () => encode(model, 'q4' as WeightDtype));
    expect(message).toContain('auto, f32, f16, int8');
  });
});

describe('layers kept by the converter', () => {
  it('are those named, in that order', async () => {
    const [all, some] = [await convert('f32'), await convert('f32', [1, 0])];
    expect(some.sizes.encoder.numEncoderLayers).toBe(2);
    const name = (layer: number) => `encoder.encoder.layers.${layer}.lstm.weight_hh_l0`;
    expectSameBytes(await some.weights.read(name(0)), await all.weights.read(name(1)), 'layer 1');
    expectSameBytes(await some.weights.read(name(1)), await all.weights.read(name(0)), 'layer 0');
  });

  it.each([[[]], [[0, 99]], [[0.5]]])('that are not there are refused: %j', async (layers) => {
    await failure('bad-argument', () => convert('f32', layers));
  });
});
