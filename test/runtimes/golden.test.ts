import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RillError } from '../../src/errors.ts';
import { encoderFrames } from '../../src/model/sizes.ts';
import { findFirefox } from '../../src/node/browsers.mjs';
import type { MethodName } from '../../src/webgpu/methods.ts';
import { kernelsOf } from '../../src/webgpu/tuning/candidates.ts';
import { openRuntime, type Runtime, type RuntimeName } from '../../tools/runtime/runtime.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import {
  GOLDEN_CASES,
  readArray,
  readGolden,
  sample,
  sampleJson,
  wakeWordsGolden,
  wakeWordsModel,
  type ClipLabels,
} from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';

/**
 * Largest absolute difference from PyTorch's float32. A float64 run of the specification differs by up to
 * 4.5e-6, float32 in another order of summation by some 2e-5 in the cell states, which reach 12.
 */
const GOLDEN_TOLERANCE = 5e-5;

const largest = new Map<string, number>();

/** Firefox has another WGSL compiler; it runs these wherever one with WebGPU is found. */
async function hasFirefox(): Promise<boolean> {
  if (!findFirefox()) {
    return false;
  }
  try {
    await (await openRuntime({ runtime: 'firefox', device: 'webgpu' })).close();
    return true;
  } catch (error) {
    if (error instanceof RillError && (error.code === 'no-webgpu' || error.code === 'no-adapter')) {
      return false;
    }
    throw error;
  }
}

const BROWSERS: RuntimeName[] = ['chrome', ...(testsAll && (await hasFirefox()) ? (['firefox'] as const) : [])];
const RUNTIMES = alsoInAll<RuntimeName>(['node'], BROWSERS);

describe.each(RUNTIMES)('PyTorch’s numbers in %s', (name) => {
  let runtime: Runtime;

  const close = (what: string, actual: Float32Array, expected: Float32Array) => {
    const difference = largestDifference(actual, expected);
    largest.set(`${name} ${what}`, Math.max(difference, largest.get(`${name} ${what}`) ?? 0));
    expect(difference, what).toBeLessThanOrEqual(GOLDEN_TOLERANCE);
  };

  beforeAll(async () => {
    runtime = await openRuntime({ runtime: name, device: 'webgpu' });
  });
  afterAll(async () => {
    await runtime.close();
    const seen = [...largest]
      .filter(([what]) => what.startsWith(name))
      .map(([what, value]) => `${what} ${value.toExponential(1)}`);
    console.log(`largest differences from PyTorch on ${runtime.device.name}: ${seen.join(', ')}`);
  });

  describe.each(testsAll ? GOLDEN_CASES : (['odd', 'noproj'] as const))('golden case %s', (golden) => {
    it('embed and every layer', async () => {
      const { model, features, lengths, numFeatures, array } = await readGolden(golden);
      for (const [utterance, length] of lengths.entries()) {
        const rows = features.length / numFeatures / lengths.length;
        const frames = encoderFrames(length);
        const start = utterance * rows * numFeatures;
        const own = features.slice(start, start + (4 * frames + 5) * numFeatures);
        const { stages } = await runtime.run('trace', { model, features: own });
        for (const [stage, actual] of stages.entries()) {
          const { data, shape } = await array(stage === 0 ? 'embed' : `layer${stage - 1}`);
          const first = utterance * shape[1] * shape[2];
          close(stage === 0 ? 'embed' : 'layers', actual, data.subarray(first, first + frames * shape[2]));
        }
      }
    });

    it('encoder_out of the batch, final states, and streamed frame by frame', async () => {
      const { model, features, lengths, numFeatures, array } = await readGolden(golden);
      const batch = await runtime.run('encode', { model, features, featureWidth: numFeatures, lengths });
      const expected = await array('encoder_out');
      const [, frames, width] = expected.shape;
      expect(batch.lengths).toEqual([...(await array('encoder_out_lens')).data]);
      for (const [utterance, length] of batch.lengths.entries()) {
        const actual = batch.encoderOut.subarray(utterance * batch.frames * width);
        const want = expected.data.subarray(utterance * frames * width);
        close('encoder_out', actual.subarray(0, length * width), want.subarray(0, length * width));
      }
      const rows = features.length / numFeatures / lengths.length;
      const alone = features.slice(0, rows * numFeatures);
      const input = { model, features: alone, featureWidth: numFeatures, lengths: [lengths[0]], chunkFrames: 1 };
      const streamed = await runtime.run('encode', input);
      close('encoder_out', streamed.encoderOut, (await array('stream_out')).data);
      close('final h', streamed.h, (await array('stream_h')).data);
      close('final c', streamed.c, (await array('stream_c')).data);
      expectSameBytes(
        streamed.encoderOut,
        batch.encoderOut.subarray(0, streamed.encoderOut.length),
        'stream against batch',
      );
    });

    it('warm start', async () => {
      const { model, features, lengths, numFeatures, array } = await readGolden(golden);
      const rows = features.length / numFeatures / lengths.length;
      const states = { h: await array('warm_h0'), c: await array('warm_c0') };
      const input = {
        model,
        features: features.slice(0, rows * numFeatures),
        featureWidth: numFeatures,
        lengths: [lengths[0]],
        states,
      };
      const warm = await runtime.run('encode', input);
      close('encoder_out', warm.encoderOut, (await array('warm_out')).data);
      close('final h', warm.h, (await array('warm_h')).data);
      close('final c', warm.c, (await array('warm_c')).data);
    });
  });

  // Each kernel by itself: test/shaders.
  it.runIf(testsAll).each(['f32', 'f16', 'int8'] as const)(
    'the same bytes by every method of kernels in %s',
    async (dtype) => {
      const { model, features, lengths, numFeatures } = await readGolden('odd');
      const frames = encoderFrames(lengths[0]);
      const rows = 4 * frames + 5;
      const first = features.slice(0, rows * numFeatures);
      const input = { model, dtype, features: first, featureWidth: numFeatures, lengths: [rows] };
      const run = (method: MethodName, chunkFrames: number) =>
        runtime.run('encode', { ...input, kernels: kernelsOf(method), chunkFrames });
      const plain = await run('plain', frames);
      const able = await runtime.run('methods', { model, dtype });
      expect(able).toEqual(expect.arrayContaining(['plain', 'split', 'waves']));
      for (const method of able) {
        // Chunks of 4 go in waves, where the method is that.
        const [whole, chunks] = [await run(method, frames), await run(method, 4)];
        for (const output of ['encoderOut', 'h', 'c'] as const) {
          expectSameBytes(whole[output], plain[output], `${method}, whole: ${output}`);
          expectSameBytes(chunks[output], plain[output], `${method}, in chunks: ${output}`);
        }
      }
    },
  );

  it.each(alsoInAll(['jarvis'], ['computer', 'smart-mirror', 'stream']))(
    'wake words: encoder_out and states of %s',
    async (clip) => {
      const array = (file: string) => readArray(`wake-words/golden/${clip}.${file}.npy`);
      const { data: features, shape } = await array('features');
      const model = await wakeWordsModel();
      const result = await runtime.run('encode', { model, features, featureWidth: shape[1], lengths: [shape[0]] });
      close('wake words encoder_out', result.encoderOut, (await array('encoder_out')).data);
      close('wake words final h', result.h, (await array('h')).data);
      close('wake words final c', result.c, (await array('c')).data);
    },
  );

  it.each(alsoInAll(['jarvis'], ['computer', 'smart-mirror', 'stream']))(
    'wake words: greedy tokens and frames of %s',
    async (clip) => {
      const { [clip]: expected } = await wakeWordsGolden();
      const result = await runtime.run('transcribe', {
        model: await wakeWordsModel(),
        audio: [await sample(clip)],
        chunkFrames: 4,
        options: { tailPaddingSeconds: 0 },
      });
      expect(result.text).toBe(expected.ctc_text);
      expect(result.tokens).toEqual(expected.ctc_tokens);
      expect(result.timestamps.map((seconds) => Math.round(seconds / 0.04))).toEqual(expected.ctc_frames);
    },
  );

  it.each(alsoInAll<number>([], [0, 4]))(
    'wake words: a search on the GPU hears what one on the CPU hears, blank penalty %i',
    async (blankPenalty) => {
      const transcribe = async (greedySearchOn: 'cpu' | 'gpu') => {
        const options = { greedySearchOn, blankPenalty };
        const input = { model: await wakeWordsModel(), audio: [await sample('smart-mirror')], chunkFrames: 3, options };
        return runtime.run('transcribe', input);
      };
      const [cpu, gpu] = [await transcribe('cpu'), await transcribe('gpu')];
      expect(cpu.tokens.length).toBeGreaterThan(3);
      expect(gpu.tokens).toEqual(cpu.tokens);
      expect(gpu.timestamps).toEqual(cpu.timestamps);
      const logs = [gpu, cpu].map(({ probabilities }) => Float32Array.from(probabilities, Math.log));
      close('log-probabilities', logs[0], logs[1]);
    },
  );

  it.runIf(testsAll)('wake words: the text of every bundled clip', async () => {
    const { clips } = await sampleJson<ClipLabels>('labels');
    const model = await wakeWordsModel();
    const whole = clips.filter(({ ctc_text: text }) => text !== undefined);
    expect(whole).toHaveLength(8);
    for (const { file, ctc_text: text, label } of whole) {
      const waveform = await sample(file.replace('.wav', ''));
      const result = await runtime.run('transcribe', { model, audio: [waveform], chunkFrames: 4 });
      expect(result.text, file).toBe(text);
      expect(
        result.keywords.map(({ keyword }) => keyword),
        file,
      ).toEqual([label]);
    }
  });
});
