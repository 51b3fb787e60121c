import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ENCODER_OUT, GREEDY_TOKENS, JOINER_ENCODER_PROJ } from '../../src/encoder/outputs.ts';
import type { StreamState } from '../../src/encoder/state.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import { padded } from '../../src/webgpu/weights.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { randomModel } from '../../tools/runtime/random-model.ts';
import { expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { goldenModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

const PLAIN = { convolutions: 'plain', matrices: 'plain' } as const;
const FRAMES = 24;
const HALF = 12;

describe('an encoder that grows', () => {
  let gpu: GpuContext;
  let model: Model;
  let features: Float32Array;

  beforeAll(async () => {
    gpu = await createNodeContext();
    model = openModel(await goldenModel('small'));
    features = randoms((4 * FRAMES + 5) * model.sizes.encoder.numFeatures, 7, 6);
  });
  afterAll(() => gpu.dispose());

  const create = (maxStreams = 8) =>
    WebGpuEncoder.create(gpu, model, { maxStreams, maxFrames: FRAMES, kernels: PLAIN });

  /** Encoder frames `from` to `to` of the features, with the context where they are the first. */
  const part = (from: number, to: number) =>
    features.subarray(
      (4 * from + (from === 0 ? 0 : 5)) * model.sizes.encoder.numFeatures,
      (4 * to + 5) * model.sizes.encoder.numFeatures,
    );

  async function tokens(encoder: WebGpuEncoder, state: StreamState, from: number, to: number): Promise<Float32Array> {
    const [{ outputs }] = await encoder.step([{ state, features: part(from, to) }], [GREEDY_TOKENS]);
    return outputs[GREEDY_TOKENS];
  }

  it('keeps what a search on the GPU has heard of each stream, and forgets it with a reset', async () => {
    const encoder = await create();
    await encoder.provide(GREEDY_TOKENS);
    const [alone, grown] = [encoder.createState(), encoder.createState()];
    const first = await tokens(encoder, alone, 0, HALF);
    const second = await tokens(encoder, alone, HALF, FRAMES);
    const heard = Array.from(first).filter((value, i) => i % 2 === 0 && value !== model.config.blankId);
    // Without tokens there would be nothing to lose.
    expect(heard.length).toBeGreaterThan(1);

    expectSameBytes(await tokens(encoder, grown, 0, HALF), first, 'before');
    const others = Array.from({ length: 5 }, () => encoder.createState());
    await encoder.settled();
    expectSameBytes(await tokens(encoder, grown, HALF, FRAMES), second, 'after growth');

    grown.reset();
    expectSameBytes(await tokens(encoder, grown, 0, HALF), first, 'after a reset');
    others.forEach((state) => {
      state.dispose();
    });
    encoder.dispose();
  });

  it('gives every stream a slot of its own, also when one leaves while it grows', async () => {
    const encoder = await create();
    const states = Array.from({ length: 5 }, () => encoder.createState());
    states.pop()?.dispose();
    await encoder.settled();
    while (states.length < 8) {
      states.push(encoder.createState());
    }
    expect(new Set(states.map(({ slot }) => slot)).size).toBe(8);
    encoder.dispose();
  });

  it('keeps a head that is attached meanwhile', async () => {
    const encoder = await create();
    const pop = gpu.device.popErrorScope.bind(gpu.device);
    let tell: () => void = () => undefined;
    const told = new Promise<void>((resolve) => (tell = resolve));
    let pops = 0;
    // News of the growth, which asks twice, comes when the head is there.
    vi.spyOn(gpu.device, 'popErrorScope').mockImplementation(async () => {
      const popped = pop();
      await (++pops <= 2 ? told : undefined);
      return popped;
    });
    const states = Array.from({ length: 5 }, () => encoder.createState());
    await encoder.provide(JOINER_ENCODER_PROJ);
    tell();
    vi.restoreAllMocks();
    await encoder.settled();
    const [{ outputs }] = await encoder.step([{ state: states[0], features: part(0, 1) }], [JOINER_ENCODER_PROJ]);
    expect(outputs[JOINER_ENCODER_PROJ].length).toBe(model.sizes.transducer?.joinerDim);
    encoder.dispose();
  });

  it('takes no more memory in one leap than step by step', async () => {
    const memory = () => (gpu.memory.get('states') ?? 0) + (gpu.memory.get('activations') ?? 0);
    const taken: number[] = [];
    for (const pause of [false, true]) {
      const before = memory();
      const encoder = await create(16);
      for (let i = 0; i < 9; i++) {
        encoder.createState();
        await (pause ? encoder.settled() : undefined);
      }
      await encoder.settled();
      taken.push(memory() - before);
      encoder.dispose();
    }
    expect(taken[0]).toBe(taken[1]);
  });

  it('lowers its lanes for a wide head, and its streams to what a buffer holds', async () => {
    const large = randomModel({ dModel: 128, rnnHiddenSize: 256, dimFeedforward: 128, numEncoderLayers: 4 });
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = large.sizes.encoder;
    const perSlot = 4 * layers * padded(Math.max(dModel, rnnHiddenSize));
    const limit = vi.spyOn(gpu, 'largestBinding', 'get');
    limit.mockReturnValue(3 * perSlot);
    const tooMany = { maxStreams: 4, maxFrames: 1, kernels: PLAIN };
    expect(await failure('bad-argument', () => WebGpuEncoder.create(gpu, large, tooMany))).toContain('from 1 to 3');
    limit.mockRestore();

    const encoder = await create();
    const width = padded(model.sizes.transducer?.joinerDim ?? 0);
    // Room for more lanes of it than there are at first, and fewer than there may be.
    vi.spyOn(gpu, 'largestBinding', 'get').mockReturnValue(5 * 4 * FRAMES * width);
    await encoder.provide(JOINER_ENCODER_PROJ);
    vi.restoreAllMocks();
    expect(encoder.capacity.maxLanes).toBe(5);
    encoder.dispose();
  });

  it('starts a stream at the states that are written into it, with a context of its own, however far it was', async () => {
    const encoder = await create();
    const [used, fresh] = [encoder.createState(), encoder.createState()];
    await encoder.step([{ state: used, features: part(0, HALF) }]);
    const values = await used.read();
    for (const state of [used, fresh]) {
      state.write(values);
      expect(state.started).toBe(false);
    }
    const [a, b] = await encoder.step([used, fresh].map((state) => ({ state, features: part(0, 3) })));
    expectSameBytes(a.outputs[ENCODER_OUT], b.outputs[ENCODER_OUT], 'a warm start');
    encoder.dispose();
  });
});
