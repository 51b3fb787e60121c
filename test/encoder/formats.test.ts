import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { encodeBatch } from '../../src/encoder/batch.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { readFixture, readGolden, type Golden } from '../support/fixtures.ts';

/** Weights of 11 and 8 bits over three layers of norms that keep values near one. */
const HALF_TOLERANCE = 2e-2;
const BFLOAT16_TOLERANCE = 2e-1;
/** Scales folded in float32 by PyTorch, in float64 here. */
const FOLDED_TOLERANCE = 5e-5;

const fixture = async (name: string) => bytesSource(await readFixture(`golden/formats/${name}`));

describe('encoder_out of the small golden case, converted from', () => {
  // What a conversion gives is the same on either engine: the CPU is the faster one here.
  const engine = new WasmEngine();
  let golden: Golden;
  let expected: Float32Array;

  async function encode(files: ModelFiles): Promise<Float32Array> {
    const encoder = await engine.createEncoder(openModel(files), { maxStreams: golden.lengths.length });
    const { encoderOut } = await encodeBatch(encoder, golden.features, golden.lengths);
    encoder.dispose();
    return encoderOut;
  }

  beforeAll(async () => {
    golden = await readGolden('small');
    expected = await encode(golden.model);
  });
  afterAll(() => {
    engine.dispose();
  });

  it.each([
    'ddp_module_prefix.pt',
    'non_contiguous.pt',
    'one_shared_storage.pt',
    'training_checkpoint.pt',
    'model_state_dict_encoder_only.pt',
    'bare_rnn_state_dict.pt',
    'legacy.pt',
  ])('%s, is the same to the byte', async (name) => {
    expectSameBytes(await encode(await convertCheckpoint(await fixture(name))), expected, name);
  });

  it.each([
    ['double.pt', FOLDED_TOLERANCE],
    ['encoder_jit_trace.pt', FOLDED_TOLERANCE],
    ['half.pt', HALF_TOLERANCE],
    ['bfloat16.pt', BFLOAT16_TOLERANCE],
  ])('%s, is within its rounding', async (name, tolerance) => {
    const actual = await encode(await convertCheckpoint(await fixture(name)));
    expect(largestDifference(actual, expected)).toBeLessThanOrEqual(tolerance);
  });

  it('the ONNX encoder, is within the rounding of its folding', async () => {
    const actual = await encode(await convertCheckpoint(await fixture('encoder.onnx')));
    expect(largestDifference(actual, expected)).toBeLessThanOrEqual(FOLDED_TOLERANCE);
  });

  it('a state dict whose scales were folded, with the eps of the checkpoint it came from', async () => {
    const normEpsFrom = bytesSource(await readFixture('golden/small/checkpoint.pt'));
    const actual = await encode(await convertCheckpoint(await fixture('non_scaled.pt'), { normEpsFrom }));
    expect(largestDifference(actual, expected)).toBeLessThanOrEqual(FOLDED_TOLERANCE);
  });
});
