import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeBatch } from '../../src/encoder/batch.ts';
import type { Encoder } from '../../src/encoder/encoder.ts';
import { isExact } from '../../src/encoder/exactness.ts';
import { CTC_LOG_PROBS, ENCODER_OUT, JOINER_ENCODER_PROJ, type HeadOutput } from '../../src/encoder/outputs.ts';
import type { StateValues, StreamState } from '../../src/encoder/state.ts';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import type { WasmEncoder } from '../../src/wasm/encoder.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { expectSameBytes } from '../support/close.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

const FRAMES = 37;
interface Heard {
  /** By name. */
  outputs: Record<string, Float32Array>;
  states: StateValues;
}

/** What is read of a stream, who is beside it, and where it stands among them. */
interface Company {
  read: readonly string[];
  others: readonly { state: StreamState; features: Float32Array }[];
  place: number;
}

/** Feature values of some encoder frames: the first ones bring the context. */
const part = (all: Float32Array, bins: number, at: number, frames: number) =>
  all.subarray((at === 0 ? 0 : 4 * at + 5) * bins, (4 * (at + frames) + 5) * bins);

/** The heads of these models: all have a transducer. */
const headsOf = ({ sizes }: Model): HeadOutput[] =>
  sizes.hasCtc ? [CTC_LOG_PROBS, JOINER_ENCODER_PROJ] : [JOINER_ENCODER_PROJ];

/** Streams a whole utterance in chunks, beside others whose chunks are longer and shorter. */
async function stream(
  encoder: Encoder,
  state: StreamState,
  features: Float32Array,
  chunk: number,
  { others, place, read }: Company,
): Promise<Heard> {
  const { numFeatures } = encoder.sizes;
  const parts: Record<string, number[]> = Object.fromEntries(read.map((name) => [name, []]));
  for (let at = 0, turn = 0; at < FRAMES; at += chunk, turn++) {
    const inputs = others.map((other, i) => {
      const rows = 4 * (1 + ((turn + i) % 5)) + (other.state.started ? 0 : 5);
      const from = 4 * ((turn * 3 + i) % 9) * numFeatures;
      return { state: other.state, features: other.features.subarray(from, from + rows * numFeatures) };
    });
    const frames = Math.min(chunk, FRAMES - at);
    inputs.splice(place, 0, { state, features: part(features, numFeatures, at, frames) });
    const { outputs } = (await encoder.step(inputs, read))[place];
    read.forEach((name) => parts[name].push(...outputs[name]));
  }
  const outputs = Object.fromEntries(read.map((name) => [name, Float32Array.from(parts[name])]));
  return { outputs, states: await state.read() };
}

function expectSame(actual: Heard, expected: Heard, label: string): void {
  expect(Object.keys(actual.outputs)).toEqual(Object.keys(expected.outputs));
  for (const [name, values] of Object.entries(expected.outputs)) {
    expectSameBytes(actual.outputs[name], values, `${label}: ${name}`);
  }
  expectSameBytes(actual.states.h, expected.states.h, `${label}: h`);
  expectSameBytes(actual.states.c, expected.states.c, `${label}: c`);
}

const wakeWords = async () => openModel(await wakeWordsModel());
const golden = (name: string) => async () => openModel(await goldenModel(name));

describe.each<readonly [string, WeightDtype, () => Promise<Model>]>([
  ['wake-words', 'f32', wakeWords],
  ['wake-words', 'int8', wakeWords],
  ['odd', 'f32', golden('odd')],
  ['odd', 'int8', golden('odd')],
  ['noproj', 'f32', golden('noproj')],
])('on the CPU the output bytes of a stream of %s in %s', (_, dtype, load) => {
  let encoder: WasmEncoder;
  let model: Model;
  let features: Float32Array<ArrayBuffer>;
  let expected: Heard;
  let alone: Company;

  const open = async (maxStreams: number, maxFrames: number) => {
    const opened = await new WasmEngine().createEncoder(model, { maxStreams, maxFrames, dtype });
    for (const head of headsOf(model)) {
      await opened.provide(head);
    }
    return opened;
  };

  beforeAll(async () => {
    model = await load();
    encoder = await open(16, FRAMES);
    features = randoms((4 * FRAMES + 5) * encoder.sizes.numFeatures, 5, 4);
    alone = { read: [ENCODER_OUT, ...headsOf(model)], others: [], place: 0 };
    expected = await stream(encoder, encoder.createState(), features, 1, alone);
  });
  afterAll(() => {
    encoder.dispose();
  });

  it.each([2, 3, 4, 8, 16, FRAMES])('are the same in chunks of %i', async (chunk) => {
    using state = encoder.createState();
    expectSame(await stream(encoder, state, features, chunk, alone), expected, `chunks of ${chunk}`);
  });

  it.each([1, 2, 4, 7, 12])(
    'are the same beside %i others with longer and shorter chunks, at any place',
    async (count) => {
      using state = encoder.createState();
      const others = Array.from({ length: count }, (_, i) => {
        return { state: encoder.createState(), features: randoms(70 * encoder.sizes.numFeatures, 100 + i, 4) };
      });
      for (const [chunk, place] of [
        [1, 0],
        [3, count >> 1],
        [4, count],
        [16, 1],
      ]) {
        state.reset();
        const heard = await stream(encoder, state, features, chunk, { ...alone, others, place });
        expectSame(heard, expected, `beside ${count}, at ${place}, chunks of ${chunk}`);
      }
      others.forEach((other) => {
        other.state.dispose();
      });
    },
  );

  it('do not depend on the capacity, and equal those of the batch', async () => {
    using small = await open(1, 2);
    expectSame(await stream(small, small.createState(), features, 2, alone), expected, 'small');
    const rows = 4 * FRAMES + 5;
    const batch = randoms(3 * rows * encoder.sizes.numFeatures, 9, 4);
    batch.set(features, rows * encoder.sizes.numFeatures);
    const { encoderOut, frames, states } = await encodeBatch(encoder, batch, [50, rows, 9], { chunkFrames: 16 });
    const { dModel } = encoder.sizes;
    expectSameBytes(encoderOut.subarray(frames * dModel, 2 * frames * dModel), expected.outputs[ENCODER_OUT], 'batch');
    expectSameBytes(states[1].c, expected.states.c, 'batch: c');
  });

  it('are the same from any states, the largest among them', async () => {
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = encoder.sizes;
    for (const scale of [1e-30, 1, 1e4, 1e30]) {
      const values = {
        h: randoms(layers * dModel, 3, Math.min(scale, 1)),
        c: randoms(layers * rnnHiddenSize, 4, scale),
      };
      const from = async (chunk: number) => {
        using state = encoder.createState();
        state.write(values);
        return await stream(encoder, state, features, chunk, alone);
      };
      const once = await from(1);
      expect(Object.values(once.outputs).every((output) => output.every(Number.isFinite))).toBe(true);
      expectSame(await from(5), once, `states up to ${scale}`);
    }
  });

  it('are found to be so by the encoder itself', async () => {
    expect(await isExact(encoder)).toBe(true);
  });
});
