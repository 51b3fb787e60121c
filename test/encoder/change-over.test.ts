/** Kernels that change in mid-stream. What a rehearsal would choose is made up here: test/encoder/tuning.test.ts has it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { JOINER_ENCODER_PROJ, ENCODER_OUT, GREEDY_TOKENS, type HeadOutput } from '../../src/encoder/outputs.ts';
import type { StateValues, StreamState } from '../../src/encoder/state.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import type { KernelChoice } from '../../src/webgpu/methods.ts';
import { Slots } from '../../src/webgpu/slots.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { expectSameBytes } from '../support/close.ts';
import { goldenModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

const PLAIN: KernelChoice = { convolutions: 'plain', matrices: 'plain' };
const TEXELS: KernelChoice = { convolutions: 'texels', matrices: 'texels' };
const FRAMES = 24;
const CHUNK = 3;
const HEADS: readonly HeadOutput[] = [GREEDY_TOKENS, JOINER_ENCODER_PROJ];
const OUTPUTS = [ENCODER_OUT, ...HEADS];

const rehearsal = vi.hoisted(() => ({ choose: (): Promise<KernelChoice> => Promise.reject(new Error('not now')) }));
vi.mock('../../src/webgpu/tuning/choice.ts', async (original) => ({
  ...(await original<object>()),
  chooseKernels: () => rehearsal.choose(),
}));

let gpu: GpuContext;
let model: Model;
let features: Float32Array<ArrayBuffer>;
/** Tells the encoder that was made last what to change to. */
let choose: (choice: KernelChoice) => void;

beforeAll(async () => {
  const { device, gpu: instance } = await createNodeContext();
  gpu = new GpuContext(device, { isFallbackAdapter: true, description: 'a card nobody knows' }, instance);
  model = openModel(await goldenModel('odd'));
  features = randoms((4 * FRAMES + 5) * model.sizes.encoder.numFeatures, 5, 4);
});
afterAll(() => {
  gpu.dispose();
});
beforeEach(() => {
  const chosen = new Promise<KernelChoice>((resolve) => (choose = resolve));
  rehearsal.choose = () => chosen;
});
afterEach(() => {
  vi.restoreAllMocks();
});

const create = (kernels: KernelChoice | 'auto' = 'auto') =>
  WebGpuEncoder.create(gpu, model, { maxStreams: 12, maxFrames: CHUNK, kernels });

/** All outputs of a stream, in chunks, and its states at the end. */
interface Heard {
  outputs: Float32Array[];
  states: StateValues;
}

/** A stream whose steps are asked for before the ones before have come back. */
class Player {
  readonly #encoder: WebGpuEncoder;
  readonly #state: StreamState;
  readonly #steps: ReturnType<WebGpuEncoder['step']>[] = [];

  constructor(encoder: WebGpuEncoder, state = encoder.createState()) {
    this.#encoder = encoder;
    this.#state = state;
  }

  /** Asks for so many steps. */
  play(count: number): void {
    const { numFeatures } = this.#encoder.sizes;
    for (let i = 0; i < count; i++) {
      const at = CHUNK * this.#steps.length;
      const part = features.subarray((at === 0 ? 0 : 4 * at + 5) * numFeatures, (4 * (at + CHUNK) + 5) * numFeatures);
      this.#steps.push(this.#encoder.step([{ state: this.#state, features: part }], OUTPUTS));
    }
  }

  async rest(): Promise<Heard> {
    this.play(FRAMES / CHUNK - this.#steps.length);
    const results = await Promise.all(this.#steps);
    const outputs = results.flatMap(([{ outputs: each }]) => OUTPUTS.map((name) => each[name]));
    return { outputs, states: await this.#state.read() };
  }
}

function expectSame(actual: Heard, expected: Heard): void {
  expected.outputs.forEach((values, i) => {
    expectSameBytes(actual.outputs[i], values, `output ${i}`);
  });
  expectSameBytes(actual.states.h, expected.states.h, 'h');
  expectSameBytes(actual.states.c, expected.states.c, 'c');
}

const provideAll = async (encoder: WebGpuEncoder) => {
  for (const head of HEADS) {
    await encoder.provide(head);
  }
};

describe('kernels that change in mid-stream', () => {
  let expected: Heard;

  beforeAll(async () => {
    const plain = await create(PLAIN);
    await provideAll(plain);
    expected = await new Player(plain).rest();
    plain.dispose();
  });

  it.each([
    ['as it is', undefined],
    ['that grows right before', 'before'],
    ['that grows right after', 'after'],
  ] as const)('leave the same bytes, with steps under way, in an encoder %s', async (_, grows) => {
    // As if there were idle moments all the time: the change comes between steps that are under way.
    vi.spyOn(gpu.idle, 'moment').mockResolvedValue();
    const encoder = await create();
    await provideAll(encoder);
    expect(encoder.kernels).toEqual(PLAIN);
    const state = encoder.createState();
    const player = new Player(encoder, state);
    player.play(2);
    const grow = () => Array.from({ length: 6 }, () => encoder.createState());
    const submits = vi.spyOn(gpu.device.queue, 'submit');
    let submitted = 0;
    const change = Object.getOwnPropertyDescriptor(Slots.prototype, 'changeTo')?.value as Slots['changeTo'];
    vi.spyOn(Slots.prototype, 'changeTo').mockImplementation(async function (this: Slots, parts) {
      submits.mockClear();
      player.play(2);
      submitted = submits.mock.calls.length;
      if (grows === 'before') {
        grow();
      }
      const changing = change.call(this, parts);
      if (grows === 'after') {
        grow();
      }
      player.play(2);
      return changing;
    });
    choose(TEXELS);
    expect(await encoder.settledKernels()).toEqual(TEXELS);
    // One right before the change was on the GPU; the other too, unless earlier ones were still coming back.
    expect(submitted).toBeGreaterThan(0);
    expectSame(await player.rest(), expected);
    // The same again, all of it by the new kernels.
    state.reset();
    expectSame(await new Player(encoder, state).rest(), expected);
    expect(gpu.failures).toBe(0);
    encoder.dispose();
    expect(gpu.resources).toBe(0);
  });

  it('wait until the device is idle, and take no more memory afterwards than if they had been there from the start', async () => {
    const memory = () => ['weights', 'states', 'activations'].map((part) => gpu.memory.get(part as 'weights') ?? 0);
    const texels = await create(TEXELS);
    await provideAll(texels);
    const taken = memory();
    texels.dispose();
    const encoder = await create();
    await encoder.provide(HEADS[0]);
    choose(TEXELS);
    const createdAt = performance.now();
    await encoder.settledKernels();
    expect(performance.now() - createdAt).toBeGreaterThan(190);
    expect(encoder.kernels).toEqual(TEXELS);
    // What is asked for from then on is loaded at once.
    await provideAll(encoder);
    expect(memory()).toEqual(taken);
    encoder.dispose();
  });

  it('have the heads that are asked for while they load', async () => {
    vi.spyOn(gpu.idle, 'moment').mockResolvedValue();
    const encoder = await create();
    choose(TEXELS);
    await Promise.all([provideAll(encoder), encoder.settledKernels()]);
    expect(encoder.kernels).toEqual(TEXELS);
    expectSame(await new Player(encoder).rest(), expected);
    encoder.dispose();
    expect(gpu.resources).toBe(0);
  });

  it.each(['weights', 'states'])(
    'stay as they are without memory for other %s, and nobody else is told',
    async (what) => {
      vi.spyOn(gpu.idle, 'moment').mockResolvedValue();
      const encoder = await create();
      await provideAll(encoder);
      const own = gpu.resources;
      const { device } = gpu;
      if (what === 'weights') {
        const createTexture = device.createTexture.bind(device);
        vi.spyOn(device, 'createTexture').mockImplementation((descriptor) =>
          createTexture({ ...descriptor, size: [1e6, 1e6] }),
        );
      } else {
        const createBuffer = device.createBuffer.bind(device);
        vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) =>
          createBuffer(descriptor.label === 'h' ? { ...descriptor, size: 2 ** 40 } : descriptor),
        );
      }
      choose(TEXELS);
      expect(await encoder.settledKernels()).toEqual(PLAIN);
      vi.restoreAllMocks();
      expectSame(await new Player(encoder).rest(), expected);
      expect(gpu.failures).toBe(0);
      expect(gpu.resources).toBeLessThanOrEqual(own + 3);
      encoder.dispose();
      expect(gpu.resources).toBe(0);
    },
  );

  it('do not change any more in an encoder that has ended, and leave nothing behind', async () => {
    const encoder = await create();
    const moment = gpu.idle.moment.bind(gpu.idle);
    let tensors = 0;
    vi.spyOn(gpu.idle, 'moment').mockImplementation(async (signal) => {
      if (++tensors === 5) {
        encoder.dispose();
      }
      return moment(signal);
    });
    choose(TEXELS);
    expect(await encoder.settledKernels()).toEqual(PLAIN);
    expect(gpu.resources).toBe(0);
    expect(gpu.failures).toBe(0);
  });
});
