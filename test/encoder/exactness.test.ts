import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeBatch } from '../../src/encoder/batch.ts';
import { isExact } from '../../src/encoder/exactness.ts';
import { ENCODER_OUT } from '../../src/encoder/outputs.ts';
import type { StateValues, StreamState } from '../../src/encoder/state.ts';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import type { KernelChoice } from '../../src/webgpu/methods.ts';
import { ableKernels } from '../../src/webgpu/tuning/candidates.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes } from '../support/close.ts';
import { ENGINE_KINDS, openTestEngine } from '../support/engines.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';

/** Streams side by side where there are many. */
const CROWD = testsAll ? 200 : 40;
const FRAMES = 37;
const CHUNKS = alsoInAll([1, 3, 16, FRAMES], [2, 4, 8]);

/** Streams a whole utterance in chunks, optionally beside others that are at other places of other utterances. */
async function stream(
  encoder: WebGpuEncoder,
  state: StreamState,
  features: Float32Array,
  chunk: number,
  beside: readonly { state: StreamState; features: Float32Array }[] = [],
): Promise<{ output: Float32Array; states: StateValues }> {
  const { numFeatures, dModel } = encoder.sizes;
  const output = new Float32Array(FRAMES * dModel);
  const part = (all: Float32Array, at: number, frames: number) =>
    all.subarray((at === 0 ? 0 : 4 * at + 5) * numFeatures, (4 * (at + frames) + 5) * numFeatures);
  for (let at = 0; at < FRAMES; at += chunk) {
    const frames = Math.min(chunk, FRAMES - at);
    // Neighbours bring ragged lengths, and stand before and after the stream in the batch.
    const others = beside.map((other, i) => {
      const own = 1 + ((at + i) % Math.min(frames, 3));
      const from = other.state.started ? 5 + 4 * i : 0;
      const rows = 4 * own + (other.state.started ? 0 : 5);
      return { state: other.state, features: other.features.subarray(from * numFeatures, (from + rows) * numFeatures) };
    });
    const place = others.length >> 1;
    const inputs = [...others.slice(0, place), { state, features: part(features, at, frames) }, ...others.slice(place)];
    const results = await encoder.step(inputs);
    output.set(results[place].outputs[ENCODER_OUT], at * dModel);
  }
  return { output, states: await state.read() };
}

const wakeWords = async () => openModel(await wakeWordsModel());
const golden = (name: string) => async () => openModel(await goldenModel(name));

describe.each(
  alsoInAll<readonly [string, WeightDtype, () => Promise<Model>]>(
    [['odd', 'f32', golden('odd')]],
    [
      ['wake-words', 'f32', wakeWords],
      ['wake-words', 'int8', wakeWords],
      ['odd', 'f16', golden('odd')],
      ['noproj', 'f32', golden('noproj')],
    ],
  ),
)('the output bytes of a stream of %s in %s', (_, dtype, load) => {
  let gpu: GpuContext;
  let model: Model;
  let encoder: WebGpuEncoder;
  let features: Float32Array<ArrayBuffer>;
  let expected: { output: Float32Array; states: StateValues };

  beforeAll(async () => {
    gpu = await createNodeContext();
    model = await load();
    encoder = await WebGpuEncoder.create(gpu, model, { maxStreams: 8, maxFrames: FRAMES, dtype });
    features = randoms((4 * FRAMES + 5) * encoder.sizes.numFeatures, 5, 4);
    expected = await stream(encoder, encoder.createState(), features, 1);
  });
  afterAll(() => encoder.dispose());

  const same = (actual: { output: Float32Array; states: StateValues }, label: string) => {
    expectSameBytes(actual.output, expected.output, `${label}: output`);
    expectSameBytes(actual.states.h, expected.states.h, `${label}: h`);
    expectSameBytes(actual.states.c, expected.states.c, `${label}: c`);
  };

  it.each(CHUNKS)('are the same in chunks of %i', async (chunk) => {
    const state = encoder.createState();
    same(await stream(encoder, state, features, chunk), `chunks of ${chunk}`);
    state.dispose();
  });

  it.each(alsoInAll([5], [1, 2, 4]))('are the same beside %i other streams, in any slot', async (count) => {
    const before = Array.from({ length: count }, () => encoder.createState());
    const state = encoder.createState();
    const beside = before.map((other, i) => ({ state: other, features: randoms(features.length, 100 + i, 4) }));
    for (const chunk of [1, 3, 16]) {
      state.reset();
      same(await stream(encoder, state, features, chunk, beside), `beside ${count}, chunks of ${chunk}`);
    }
    [...before, state].forEach((each) => each.dispose());
  });

  it('stay the same when the arena grows in mid-stream, with a step under way', async () => {
    const growing = await WebGpuEncoder.create(gpu, model, { maxStreams: 20, maxFrames: FRAMES, dtype });
    const { numFeatures, dModel } = growing.sizes;
    const state = growing.createState();
    const size = () => gpu.memory.get('states') ?? 0;
    const before = size();
    const half = 16;
    const first = growing.step([{ state, features: features.subarray(0, (4 * half + 5) * numFeatures) }]);
    const others = Array.from({ length: 19 }, () => growing.createState());
    const rest = await growing.step([{ state, features: features.subarray((4 * half + 5) * numFeatures) }]);
    expect(size()).toBeGreaterThan(before);
    const output = new Float32Array(FRAMES * dModel);
    output.set((await first)[0].outputs[ENCODER_OUT]);
    output.set(rest[0].outputs[ENCODER_OUT], half * dModel);
    same({ output, states: await state.read() }, 'growing');
    expect(new Set([state, ...others].map(({ slot }) => slot)).size).toBe(20);
    growing.dispose();
  });

  it('are those of the moment of the call, whatever happens to the arena or the input after', async () => {
    const small = await WebGpuEncoder.create(gpu, model, { maxStreams: 6, maxFrames: FRAMES, dtype });
    const { numFeatures } = small.sizes;
    const states = Array.from({ length: 4 }, () => small.createState());
    const input = features.slice(0, (4 * FRAMES + 5) * numFeatures);
    const stepping = small.step([{ state: states[0], features: input }]);
    input.fill(0);
    const [{ outputs }] = await stepping;
    const reading = states[0].read();
    small.createState();
    const again = states[0].read();
    states[0].dispose();
    small.createState();
    for (const each of [await reading, await again]) {
      same({ output: outputs[ENCODER_OUT], states: each }, 'read before growth and reuse');
    }
    gpu.check();
    small.dispose();
  });

  it('equal those of the offline batch', async () => {
    const { numFeatures, dModel } = encoder.sizes;
    const rows = 4 * FRAMES + 5;
    const utterances = 3;
    const batch = randoms(utterances * rows * numFeatures, 9, 4);
    batch.set(features, rows * numFeatures);
    const { encoderOut, frames, states } = await encodeBatch(encoder, batch, [50, rows, 9], { chunkFrames: 16 });
    same({ output: encoderOut.subarray(frames * dModel, 2 * frames * dModel), states: states[1] }, 'batch');
  });

  /** The stream alone and beside others, by one method, in chunks of various sizes; and the states of the others. */
  async function streamBy(kernels: KernelChoice) {
    const other = await WebGpuEncoder.create(gpu, model, { maxStreams: 16, maxFrames: 8, dtype, kernels });
    expect(other.kernels).toEqual(kernels);
    const neighbours = Array.from({ length: 11 }, () => other.createState());
    const others = neighbours.map((state, i) => {
      return { state, features: randoms(120 * other.sizes.numFeatures, 90 + i, 4) };
    });
    const state = other.createState();
    const neighbourStates: StateValues[] = [];
    for (const [chunk, beside] of [
      [1, []],
      [1, others],
      [3, others],
      [4, others.slice(0, 3)],
      [8, others.slice(0, 3)],
    ] as const) {
      same(await stream(other, state, features, chunk, beside), `${kernels.matrices}, chunks of ${chunk}`);
      for (const each of [state, ...neighbours]) {
        neighbourStates.push(await each.read());
        each.reset();
      }
    }
    other.dispose();
    return neighbourStates;
  }

  // That their kernels give the same bytes is tested one by one: test/shaders.
  it.runIf(testsAll)(
    'are those of every method of kernels, alone and beside others, whose states are the same too',
    async () => {
      const methods = ableKernels(gpu, model, dtype);
      expect(methods.length).toBe(model.sizes.encoder.hasProjection ? 6 : 5);
      const [plain, ...rest] = methods;
      const states = await streamBy(plain);
      for (const kernels of rest) {
        for (const [i, { h, c }] of (await streamBy(kernels)).entries()) {
          expectSameBytes(h, states[i].h, `${kernels.matrices}: h of stream ${i}`);
          expectSameBytes(c, states[i].c, `${kernels.matrices}: c of stream ${i}`);
        }
      }
    },
  );

  it('do not depend on the engine’s capacity', async () => {
    const small = await WebGpuEncoder.create(gpu, model, { maxStreams: 1, maxFrames: 2, dtype });
    same(await stream(small, small.createState(), features, 2), 'small engine');
    small.dispose();
  });
});

it.each(ENGINE_KINDS)('an encoder on %s finds out by itself whether it is exact', async (kind) => {
  const engine = await openTestEngine(kind);
  const model = openModel(await goldenModel('odd'));
  const encoder = await engine.createEncoder(model, { maxStreams: 16, maxFrames: 4 });
  expect(await isExact(encoder)).toBe(true);
  // A step that depends on how many streams there are.
  const step = encoder.step.bind(encoder);
  vi.spyOn(encoder, 'step').mockImplementation(async (inputs, read) => {
    const results = await step(inputs, read);
    results[0].outputs[ENCODER_OUT][0] += inputs.length > 1 ? 1e-6 : 0;
    return results;
  });
  expect(await isExact(encoder)).toBe(false);
  expect(encoder.freeLanes).toBe(16);
  encoder.dispose();
  engine.dispose();
});

it.runIf(testsAll)(`the output bytes of a stream are the same alone and among ${CROWD}`, async () => {
  const gpu = await createNodeContext();
  const model = openModel(await goldenModel('odd'));
  const kernels: KernelChoice = { convolutions: 'texels', matrices: 'texels' };
  const encoder = await WebGpuEncoder.create(gpu, model, { maxStreams: CROWD, maxFrames: 4, kernels });
  const { numFeatures } = encoder.sizes;
  const features = randoms((4 * FRAMES + 5) * numFeatures, 5, 4);
  const alone = await stream(encoder, encoder.createState(), features, 4);
  // With the one alone, which still has its slot, and the one among them.
  const others = Array.from({ length: CROWD - 2 }, (_, i) => {
    return { state: encoder.createState(), features: randoms((4 * 230 + 5) * numFeatures, i + 6, 4) };
  });
  const among = await stream(encoder, encoder.createState(), features, 4, others);
  expect(encoder.freeLanes).toBe(0);
  expectSameBytes(among.output, alone.output, 'output');
  expectSameBytes(among.states.h, alone.states.h, 'h');
  expectSameBytes(among.states.c, alone.states.c, 'c');
  encoder.dispose();
});
