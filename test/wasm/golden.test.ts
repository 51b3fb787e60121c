import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { encodeBatch, runBatch } from '../../src/encoder/batch.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, JOINER_ENCODER_PROJ, type HeadOutput } from '../../src/encoder/outputs.ts';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { encoderFrames } from '../../src/model/sizes.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { expectClose, expectSameBytes } from '../support/close.ts';
import { GOLDEN_CASES, readArray, readFixture, readGolden, wakeWordsModel, type Golden } from '../support/fixtures.ts';

/** As on the GPU, test/runtimes/golden.test.ts: float32 in another order of summation, of cell states that reach 12. */
const GOLDEN_TOLERANCE = { absolute: 5e-5, relative: 0 };
/** Inputs of a product are rounded to a 65534th of their row's range: 6e-4 in the end. */
const INT8_TOLERANCE = { absolute: 1e-3, relative: 0 };

const open = (model: ModelFiles, dtype: WeightDtype | 'auto' = 'auto') =>
  new WasmEngine().createEncoder(openModel(model), { maxFrames: 64, dtype });

/** The first utterance of a golden case. */
function firstOf({ features, lengths, numFeatures }: Golden) {
  const rows = features.length / numFeatures / lengths.length;
  return { features: features.subarray(0, rows * numFeatures), rows };
}

/** What a head gives of one utterance, from chunks of 5 frames. */
async function runHead(model: ModelFiles, features: Float32Array, output: HeadOutput): Promise<number[]> {
  using encoder = await open(model);
  await encoder.provide(output);
  const given: number[] = [];
  const rows = features.length / encoder.sizes.numFeatures;
  await runBatch(encoder, features, [rows], { chunkFrames: 5 }, [output], (_utterance, _at, { outputs }) => {
    given.push(...outputs[output]);
  });
  return given;
}

describe.each(GOLDEN_CASES)('PyTorch’s numbers on the CPU: golden case %s', (name) => {
  it('embed and every layer', async () => {
    const { model, features, lengths, numFeatures, array } = await readGolden(name);
    using encoder = await open(model);
    for (const [utterance, length] of lengths.entries()) {
      const rows = features.length / numFeatures / lengths.length;
      const frames = encoderFrames(length);
      const start = utterance * rows * numFeatures;
      const own = features.slice(start, start + (4 * frames + 5) * numFeatures);
      const [{ trace }] = await encoder.trace([{ state: encoder.createState(), features: own }]);
      expect(trace).toHaveLength(1 + encoder.sizes.numEncoderLayers);
      for (const [stage, actual] of trace.entries()) {
        const what = stage === 0 ? 'embed' : `layer${stage - 1}`;
        const { data, shape } = await array(what);
        const first = utterance * shape[1] * shape[2];
        expectClose(actual, data.subarray(first, first + frames * shape[2]), GOLDEN_TOLERANCE, what);
      }
    }
  });

  it('encoder_out of the batch, final states, and streamed frame by frame', async () => {
    const golden = await readGolden(name);
    const { model, features, lengths, array } = golden;
    using encoder = await open(model);
    const batch = await encodeBatch(encoder, features, lengths);
    const { data, shape } = await array('encoder_out');
    expect(batch.lengths).toEqual([...(await array('encoder_out_lens')).data]);
    for (const [utterance, length] of batch.lengths.entries()) {
      const own = (values: Float32Array, frames: number) =>
        values.subarray(utterance * frames * shape[2], (utterance * frames + length) * shape[2]);
      expectClose(own(batch.encoderOut, batch.frames), own(data, shape[1]), GOLDEN_TOLERANCE, 'encoder_out');
    }
    const streamed = await encodeBatch(encoder, firstOf(golden).features, [lengths[0]], { chunkFrames: 1 });
    expectClose(streamed.encoderOut, (await array('stream_out')).data, GOLDEN_TOLERANCE, 'streamed');
    expectClose(streamed.states[0].h, (await array('stream_h')).data, GOLDEN_TOLERANCE, 'final h');
    expectClose(streamed.states[0].c, (await array('stream_c')).data, GOLDEN_TOLERANCE, 'final c');
    const whole = batch.encoderOut.subarray(0, streamed.encoderOut.length);
    expectSameBytes(streamed.encoderOut, whole, 'stream against batch');
  });

  it('warm start', async () => {
    const golden = await readGolden(name);
    const { model, lengths, array } = golden;
    using encoder = await open(model);
    const states = [{ h: (await array('warm_h0')).data, c: (await array('warm_c0')).data }];
    const warm = await encodeBatch(encoder, firstOf(golden).features, [lengths[0]], { states });
    expectClose(warm.encoderOut, (await array('warm_out')).data, GOLDEN_TOLERANCE, 'encoder_out');
    expectClose(warm.states[0].h, (await array('warm_h')).data, GOLDEN_TOLERANCE, 'final h');
    expectClose(warm.states[0].c, (await array('warm_c')).data, GOLDEN_TOLERANCE, 'final c');
  });

  it('the joiner’s encoder projection', async () => {
    const golden = await readGolden(name);
    const { data, shape } = await golden.array('joiner_encoder_proj');
    const given = await runHead(golden.model, firstOf(golden).features, JOINER_ENCODER_PROJ);
    const [frames, width] = shape.slice(-2);
    const length = Math.min(frames * width, given.length);
    expect(length).toBeGreaterThan(0);
    expectClose(given.slice(0, length), data.subarray(0, length), GOLDEN_TOLERANCE, 'joiner_encoder_proj');
  });

  it('int8 gives what its own weights give in f32', async () => {
    const { features, lengths } = await readGolden(name);
    const checkpoint = bytesSource(await readFixture(`golden/${name}/checkpoint.pt`));
    const model = await convertCheckpoint(checkpoint, { dtype: 'int8' });
    const encode = async (dtype: WeightDtype | 'auto') => {
      using encoder = await open(model, dtype);
      expect(encoder.dtype).toBe(dtype === 'f32' ? 'f32' : 'int8');
      const { encoderOut } = await encodeBatch(encoder, features, lengths);
      return encoderOut;
    };
    const int8 = await encode('auto');
    expectClose(int8, await encode('f32'), INT8_TOLERANCE, 'int8');
    expectSameBytes(await encode('int8'), int8, 'asked for');
  });
});

describe.each(['jarvis', 'computer', 'smart-mirror', 'stream'])(
  'PyTorch’s numbers on the CPU: wake words, %s',
  (clip) => {
    const array = (file: string) => readArray(`wake-words/golden/${clip}.${file}.npy`);

    it('encoder_out and states', async () => {
      const { data: features, shape } = await array('features');
      using encoder = await open(await wakeWordsModel());
      const { encoderOut, states } = await encodeBatch(encoder, features, [shape[0]]);
      expectClose(encoderOut, (await array('encoder_out')).data, GOLDEN_TOLERANCE, 'encoder_out');
      expectClose(states[0].h, (await array('h')).data, GOLDEN_TOLERANCE, 'h');
      expectClose(states[0].c, (await array('c')).data, GOLDEN_TOLERANCE, 'c');
    });

    it('the CTC head’s log-probabilities, and its choices', async () => {
      const { data: features } = await array('features');
      const { data: expected, shape } = await array('ctc_log_probs');
      const width = shape.at(-1) ?? 0;
      const model = await wakeWordsModel();
      expectClose(await runHead(model, features, CTC_LOG_PROBS), expected, GOLDEN_TOLERANCE, 'log-probabilities');
      const choices = Array.from({ length: expected.length / width }, (_, frame) => {
        const row = expected.subarray(frame * width, (frame + 1) * width);
        const best = Math.max(...row);
        return [row.indexOf(best), best];
      });
      expectClose(await runHead(model, features, CTC_TOKENS), choices.flat(), GOLDEN_TOLERANCE, 'choices');
    });
  },
);
