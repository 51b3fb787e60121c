import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findBatchSize, encodeBatch } from '../../src/encoder/batch.ts';
import { CTC_LOG_PROBS, ENCODER_OUT } from '../../src/encoder/outputs.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { GpuContext } from '../../src/webgpu/device/context.ts';
import { Kernel } from '../../src/webgpu/device/kernel.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { randomModel } from '../../tools/runtime/random-model.ts';
import { expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';
import { testsAll } from '../support/scope.ts';

/** What is tested here is the same by any kernels: these compile soonest, in a second where SwiftShader's own take two. */
const PLAIN = { convolutions: 'plain', matrices: 'plain' } as const;
const WAVES = { convolutions: 'plain', matrices: 'waves' } as const;

describe('WebGpuEncoder', () => {
  let gpu: GpuContext;
  let model: Model;
  let encoder: WebGpuEncoder;

  beforeAll(async () => {
    gpu = await createNodeContext();
    model = openModel(await goldenModel('odd'));
    encoder = await WebGpuEncoder.create(gpu, model, { maxStreams: 3, maxFrames: 4, kernels: PLAIN });
  });
  afterAll(() => encoder.dispose());

  const chunk = (frames: number, seed = 1) => randoms(frames * encoder.sizes.numFeatures, seed, 4);

  it('resets one stream without touching its neighbour', async () => {
    const [a, b] = [encoder.createState(), encoder.createState()];
    const [first] = await encoder.step([{ state: a, features: chunk(21) }]);
    await encoder.step([{ state: b, features: chunk(21, 2) }]);
    const before = await b.read();
    a.reset();
    const [again] = await encoder.step([{ state: a, features: chunk(21) }]);
    expectSameBytes(again.outputs[ENCODER_OUT], first.outputs[ENCODER_OUT], 'after reset');
    const after = await b.read();
    expectSameBytes(after.h, before.h, 'neighbour’s h');
    expectSameBytes(after.c, before.c, 'neighbour’s c');
    a.dispose();
    b.dispose();
  });

  it('gives a freed slot to the next stream, its states zero', async () => {
    const states = [1, 2, 3].map(() => encoder.createState());
    expect(await failure('busy', () => encoder.createState())).toContain('at most 3 at a time');
    await encoder.step(states.map((state) => ({ state, features: chunk(9) })));
    states[1].dispose();
    const next = encoder.createState();
    expect(next.slot).toBe(states[1].slot);
    const { h, c } = await next.read();
    expect([...h, ...c].every((value) => value === 0)).toBe(true);
    [states[0], next, states[2]].forEach((state) => state.dispose());
  });

  it('runs overlapping steps in the order they were called', async () => {
    const state = encoder.createState();
    const [whole] = await encoder.step([{ state, features: chunk(21) }]);
    state.reset();
    const all = chunk(21);
    const { numFeatures, dModel } = encoder.sizes;
    const steps = [0, 1, 2, 3].map((frame) => {
      const from = frame === 0 ? 0 : 4 * frame + 5;
      return encoder.step([{ state, features: all.subarray(from * numFeatures, (4 * frame + 9) * numFeatures) }]);
    });
    const results = await Promise.all(steps);
    results.forEach(([{ outputs }], frame) => {
      const expected = whole.outputs[ENCODER_OUT].subarray(frame * dModel, (frame + 1) * dModel);
      expectSameBytes(outputs[ENCODER_OUT], expected, `frame ${frame}`);
    });
    state.dispose();
  });

  it('checks a step when its turn comes, so that a slot given on in between stays clean', async () => {
    for (let turns = 0; turns < 6; turns++) {
      const old = encoder.createState();
      const step = encoder.step([{ state: old, features: chunk(9) }]).catch((error: unknown) => error);
      for (let turn = 0; turn < turns; turn++) {
        await Promise.resolve();
      }
      old.dispose();
      const next = encoder.createState();
      expect(next.slot).toBe(old.slot);
      await step;
      const { h, c } = await next.read();
      expect(
        [...h, ...c].every((value) => value === 0),
        `${turns} turns`,
      ).toBe(true);
      next.dispose();
    }
  });

  it('takes back what a refused step had reserved', async () => {
    const state = encoder.createState();
    for (let i = 0; i < 5; i++) {
      await failure('bad-argument', () =>
        encoder.step([{ state, features: [...chunk(9)] as unknown as Float32Array }]),
      );
      await failure('bad-argument', () => encoder.step([{ state, features: chunk(7) }]));
    }
    expect(state.started).toBe(false);
    expect((await encoder.step([{ state, features: chunk(9) }]))[0].frames).toBe(1);
    state.dispose();
  });

  it('gives no results of commands that the device refused', async () => {
    const context = await createNodeContext();
    const own = await WebGpuEncoder.create(context, model, { maxStreams: 2, maxFrames: 4, kernels: PLAIN });
    const [state, other] = [own.createState(), own.createState()];
    const [{ outputs }] = await own.step([{ state, features: chunk(21) }]);
    const { queue } = context.device;
    const submit = queue.submit.bind(queue);
    vi.spyOn(queue, 'submit').mockImplementationOnce(() => {
      const commands = context.device.createCommandEncoder();
      commands.popDebugGroup();
      submit([commands.finish()]);
    });
    await failure('gpu', () => own.step([{ state, features: chunk(4) }]));
    vi.restoreAllMocks();
    const [next] = await own.step([{ state: other, features: chunk(21) }]);
    expectSameBytes(next.outputs[ENCODER_OUT], outputs[ENCODER_OUT], 'the step after');
    own.dispose();
    await failure('closed', () => own.provide(CTC_LOG_PROBS));
  });

  it('reads the states of a slot whose room grows again before it is there', async () => {
    const growing = await WebGpuEncoder.create(gpu, model, { maxStreams: 16, maxFrames: 1, kernels: PLAIN });
    const state = Array.from({ length: 5 }, () => growing.createState())[4];
    const read = state.read();
    // The room for five is given up for that for nine, of which news comes later.
    const pop = gpu.device.popErrorScope.bind(gpu.device);
    vi.spyOn(gpu.device, 'popErrorScope').mockImplementation(async () => {
      const error = await pop();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return error;
    });
    Array.from({ length: 4 }, () => growing.createState());
    vi.restoreAllMocks();
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = growing.sizes;
    const values = {
      h: new Float32Array(layers * dModel).fill(0.5),
      c: new Float32Array(layers * rnnHiddenSize).fill(0.25),
    };
    state.write(values);
    expect(await read).toEqual(values);
    growing.dispose();
  });

  it('goes on as before when there is no memory to grow, and tells the stream that there was none for', async () => {
    const growing = await WebGpuEncoder.create(gpu, model, { maxStreams: 8, maxFrames: 4, kernels: PLAIN });
    const states = Array.from({ length: 4 }, () => growing.createState());
    const inputs = (seed: number) => states.map((state, i) => ({ state, features: chunk(9 + 4 * i, seed + i) }));
    const later = (seed: number) => states.map((state, i) => ({ state, features: chunk(4 + 4 * i, seed + i) }));
    await growing.step(inputs(1));
    const expected = await growing.step(later(5));
    states.forEach((state) => {
      state.reset();
    });
    await growing.step(inputs(1));
    const grownStates = await states[0].read();
    const used = [...gpu.memory];
    const pop = gpu.device.popErrorScope.bind(gpu.device);
    vi.spyOn(gpu.device, 'popErrorScope').mockImplementationOnce(async () => {
      await pop();
      return { message: 'no memory left' };
    });
    const refused = growing.createState();
    const onClose = vi.fn();
    refused.onClose = onClose;
    // The step waits for the news.
    const results = await growing.step(later(5));
    expect(await failure('gpu', () => growing.step([{ state: refused, features: chunk(9) }]))).toContain(
      'no memory left',
    );
    expect(onClose).toHaveBeenCalledOnce();
    results.forEach(({ outputs }, i) => {
      expectSameBytes(outputs[ENCODER_OUT], expected[i].outputs[ENCODER_OUT], `stream ${i}`);
    });
    expect([...gpu.memory]).toEqual(used);
    // Many at once, in slots of several sizes: all are refused, a slot that was reused in between is not.
    vi.spyOn(gpu.device, 'popErrorScope').mockImplementation(async () => {
      await pop();
      return { message: 'no memory left' };
    });
    const coming = growing.createState();
    states[1].dispose();
    const inPlace = growing.createState();
    expect(inPlace.slot).toBe(states[1].slot);
    inPlace.reset();
    expect(await failure('gpu', () => coming.read())).toContain('no memory left');
    vi.restoreAllMocks();
    expect((await inPlace.read()).h.every((value) => value === 0)).toBe(true);
    inPlace.dispose();
    // A slot that becomes free serves, and the next growth works.
    states[0].dispose();
    const [reused, other, grown] = [growing.createState(), growing.createState(), growing.createState()];
    expect(reused.slot).toBe(states[0].slot);
    grown.write({ h: grownStates.h.fill(0.5), c: grownStates.c.fill(0.5) });
    expect((await grown.read()).h.every((value) => value === 0.5)).toBe(true);
    await growing.step([reused, other, grown].map((state) => ({ state, features: chunk(9) })));
    growing.dispose();
    gpu.check();
  });

  it('encodes overlapping batches in whatever slots are free', async () => {
    const features = chunk(21);
    const alone = await encodeBatch(encoder, features, [21]);
    const held = encoder.createState();
    const both = await Promise.all([encodeBatch(encoder, features, [21]), encodeBatch(encoder, features, [21])]);
    expect(both).toEqual([alone, alone]);
    held.dispose();
    const all = [1, 2, 3].map(() => encoder.createState());
    await failure('busy', () => encodeBatch(encoder, features, [21]));
    all.forEach((state) => state.dispose());
  });

  it('profiles a step: every dispatch of it is timed, and its bytes are those of a plain step', async () => {
    const [plain, profiled] = [encoder.createState(), encoder.createState()];
    const [expected] = await encoder.step([{ state: plain, features: chunk(17) }]);
    const { resources: buffers, memory } = gpu;
    const before = new Map(memory);
    const { results, kernels: times } = await encoder.profile([{ state: profiled, features: chunk(17) }]);
    expectSameBytes(results[0].outputs[ENCODER_OUT], expected.outputs[ENCODER_OUT], 'profiled');
    const dispatches = times.reduce((sum, time) => sum + time.dispatches, 0);
    expect(dispatches).toBe(encoder.cost(3).dispatches);
    expect(times.find(({ kernel }) => kernel.startsWith('lstm_cell'))?.dispatches).toBe(
      3 * encoder.sizes.numEncoderLayers,
    );
    expect(times.reduce((sum, { ms }) => sum + ms, 0)).toBeGreaterThan(0);
    expect(gpu.resources).toBe(buffers);
    expect(Object.fromEntries(memory)).toEqual({ ...Object.fromEntries(before), profile: 0 });
    plain.dispose();
    profiled.dispose();
  });

  describe('refuses, and says what was got and expected', () => {
    it('a chunk of no frames, too many, or not whole', async () => {
      const state = encoder.createState();
      for (const frames of [0, 5, 8, 10, 25]) {
        const message = await failure('bad-argument', () => encoder.step([{ state, features: chunk(frames) }]));
        expect(message).toContain('4n + 5 frames of 80 mel bins, n from 1 to 4');
      }
      await encoder.step([{ state, features: chunk(9) }]);
      for (const frames of [0, 5, 9, 20]) {
        const message = await failure('bad-argument', () => encoder.step([{ state, features: chunk(frames) }]));
        expect(message).toContain('4n frames of 80 mel bins');
      }
      state.dispose();
    });

    it('features of the wrong width, and leaves the other streams running', async () => {
      const [a, b] = [encoder.createState(), encoder.createState()];
      const wrong = new Float32Array(9 * 79);
      await failure('bad-argument', () =>
        encoder.step([
          { state: a, features: chunk(9) },
          { state: b, features: wrong },
        ]),
      );
      expect(a.started).toBe(false);
      await encoder.step([{ state: a, features: chunk(9) }]);
      a.dispose();
      b.dispose();
    });

    it.each([NaN, Infinity, -Infinity])(
      'features with %d among them, and no state, slot or stream changes',
      async (bad) => {
        const [a, b] = [encoder.createState(), encoder.createState()];
        const features = chunk(9, 3);
        features[2 * encoder.sizes.numFeatures + 7] = bad;
        const inputs = [
          { state: a, features: chunk(9) },
          { state: b, features },
        ];
        const says = `got ${bad} at frame 2, mel bin 7 of the features`;
        expect(await failure('bad-argument', () => encoder.step(inputs))).toContain(says);
        expect(await failure('bad-argument', () => encoder.trace(inputs))).toContain(says);
        expect(
          await failure('bad-argument', () =>
            encoder.stepLate(
              () => inputs,
              [ENCODER_OUT],
              () => expect.fail(),
            ),
          ),
        ).toContain(says);
        expect([a.started, b.started]).toEqual([false, false]);
        const { h } = await a.read();
        expect(h.every((value) => value === 0)).toBe(true);
        // What was refused leaves no trace: the next step gives what a fresh stream gives.
        const [after] = await encoder.step([inputs[0]]);
        const fresh = encoder.createState();
        const [expected] = await encoder.step([{ state: fresh, features: chunk(9) }]);
        expectSameBytes(after.outputs[ENCODER_OUT], expected.outputs[ENCODER_OUT], 'after the refusal');
        [a, b, fresh].forEach((state) => state.dispose());
      },
    );

    it('a batch with such a feature or state, by utterance and frame, but not what is behind an end', async () => {
      const { numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize } = encoder.sizes;
      const features = chunk(2 * 12);
      features[(12 + 10) * numFeatures + 1] = NaN;
      expect(await failure('bad-argument', () => encodeBatch(encoder, features, [12, 12]))).toContain(
        'got NaN at frame 10, mel bin 1 of the features of utterance 1',
      );
      const { encoderOut } = await encodeBatch(encoder, features, [12, 10]);
      expect(encoderOut.every(Number.isFinite)).toBe(true);
      const zero = { h: new Float32Array(layers * dModel), c: new Float32Array(layers * rnnHiddenSize) };
      const states = [{ ...zero, c: zero.c.map((_, i) => (i === 5 ? Infinity : 0)) }];
      expect(await failure('bad-argument', () => encodeBatch(encoder, chunk(9), [9], { states }))).toContain(
        'got Infinity at element 5 of c',
      );
      const state = encoder.createState();
      await failure('bad-argument', () => state.write(states[0]));
      state.dispose();
    });

    it('no input, a stream twice, another encoder’s stream', async () => {
      const state = encoder.createState();
      const input = { state, features: chunk(9) };
      await failure('bad-argument', () => encoder.step([]));
      await failure('bad-argument', () => encoder.step([input, input]));
      const other = await WebGpuEncoder.create(gpu, model, { maxStreams: 1, maxFrames: 1, kernels: PLAIN });
      await failure('bad-argument', () => encoder.step([{ ...input, state: other.createState() }]));
      other.dispose();
      state.dispose();
    });

    it('an output that nothing gives', async () => {
      const state = encoder.createState();
      const message = await failure('bad-argument', () =>
        encoder.step([{ state, features: chunk(9) }], ['ctc_log_probs']),
      );
      expect(message).toContain('expected encoder_out');
      state.dispose();
    });

    it('states of the wrong shape', async () => {
      const state = encoder.createState();
      const { h, c } = await state.read();
      const message = await failure('bad-argument', () => state.write({ h: h.slice(1), c }));
      expect(message).toContain('h of (2, 50) and c of (2, 70)');
      state.dispose();
    });

    it('lengths beyond the array, under 9 frames, and arrays that are no batch', async () => {
      const features = chunk(20);
      expect(await failure('bad-argument', () => encodeBatch(encoder, features, [21]))).toContain('9 to 20');
      expect(await failure('bad-argument', () => encodeBatch(encoder, features, [8]))).toContain('9 to 20');
      await failure('bad-argument', () => encodeBatch(encoder, features, [1e15]));
      await failure('bad-argument', () => encodeBatch(encoder, features.subarray(1), [20]));
      await failure('bad-argument', () => encodeBatch(encoder, features, []));
      await failure('bad-argument', () => encodeBatch(encoder, features, [20], { chunkFrames: 0 }));
      await failure('bad-argument', () => encodeBatch(encoder, features, [20], { states: [] }));
    });

    it('a closed stream, and a disposed encoder', async () => {
      const state = encoder.createState();
      state.dispose();
      await failure('closed', () => encoder.step([{ state, features: chunk(9) }]));
      await failure('closed', () => state.reset());
      await failure('closed', () => state.read());
      const other = await WebGpuEncoder.create(gpu, model, { maxStreams: 1, maxFrames: 1, kernels: PLAIN });
      const open = other.createState();
      other.dispose();
      await failure('closed', () => other.step([{ state: open, features: chunk(9) }]));
      await failure('closed', () => open.read());
      await failure('closed', () => open.reset());
      await gpu.device.queue.onSubmittedWorkDone();
      gpu.check();
    });

    it('a capacity out of range, and lanes that a buffer cannot hold', async () => {
      await failure('bad-argument', () => WebGpuEncoder.create(gpu, model, { maxStreams: 0, kernels: PLAIN }));
      await failure('bad-argument', () => WebGpuEncoder.create(gpu, model, { maxFrames: 1.5, kernels: PLAIN }));
      const message = await failure('bad-argument', () =>
        WebGpuEncoder.create(gpu, model, { maxStreams: 4096, maxFrames: 128, maxLanes: 4096, kernels: PLAIN }),
      );
      expect(message).toMatch(/maxLanes: 4096; expected a whole number from 1 to \d+/);
      const wide = await WebGpuEncoder.create(gpu, model, { maxStreams: 4096, maxFrames: 128, kernels: PLAIN });
      expect(wide.capacity.maxLanes).toBeLessThan(4096);
      wide.dispose();
    });

    it('more streams in a step than it has lanes', async () => {
      const narrow = await WebGpuEncoder.create(gpu, model, {
        maxStreams: 3,
        maxFrames: 1,
        maxLanes: 2,
        kernels: PLAIN,
      });
      const inputs = Array.from({ length: 3 }, () => ({ state: narrow.createState(), features: chunk(9) }));
      expect(await failure('bad-argument', () => narrow.step(inputs))).toContain('3 streams in one step');
      expect(await narrow.step(inputs.slice(1))).toHaveLength(2);
      narrow.dispose();
    });

    it('weights that are not finite, by name', async () => {
      const broken: Model = {
        ...model,
        weights: {
          tensors: model.weights.tensors,
          async read(name) {
            const values = await model.weights.read(name);
            values[3] = name.endsWith('1.lstm.weight_hh_l0') ? NaN : values[3];
            return values;
          },
        },
      };
      const message = await failure('bad-model', () => WebGpuEncoder.create(gpu, broken));
      expect(message).toContain('NaN at element 3 of encoder.encoder.layers.1.lstm.weight_hh_l0');
    });

    it('to profile on a device without timestamp queries', async () => {
      const without = vi.spyOn(gpu.device, 'features', 'get').mockReturnValue(new Set());
      const state = encoder.createState();
      const message = await failure('bad-argument', () => encoder.profile([{ state, features: chunk(9) }]));
      expect(message).toContain('timestamp-query');
      expect(state.started).toBe(false);
      without.mockRestore();
      state.dispose();
    });

    it('a head that the model does not have', async () => {
      await failure('bad-model', () => encoder.provide(CTC_LOG_PROBS));
    });
  });

  it('reports a shader that does not compile with the compiler’s words, the part and its line', async () => {
    const broken = { ...kernels.basicNorm, code: kernels.basicNorm.code.replace('half /= 2u', 'half /= oops') };
    const message = await failure('shader', () => Kernel.create(gpu, broken, { width: 1 }));
    expect(message).toMatch(/kernel basic_norm .*shaders\/parts\/workgroup_sum\.wgsl:10: .*oops/);
    await gpu.device.queue.onSubmittedWorkDone();
    gpu.check();
  });
});

describe('no GPU', () => {
  it('says so when there is no WebGPU', async () => {
    const message = await failure('no-webgpu', () => GpuContext.create(undefined));
    expect(message).toContain('expected WebGPU');
  });

  it('says so when there is no adapter', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await failure('no-adapter', () => GpuContext.create(gpu));
  });

  it('says so when the device is lost in mid-stream', async () => {
    const context = await createNodeContext();
    const encoder = await WebGpuEncoder.create(context, openModel(await goldenModel('small')), {
      maxStreams: 1,
      maxFrames: 1,
      kernels: PLAIN,
    });
    const state = encoder.createState();
    const features = randoms(9 * 80, 1);
    await encoder.step([{ state, features }]);
    context.device.destroy();
    const message = await failure('device-lost', () => encoder.step([{ state, features: features.subarray(5 * 80) }]));
    expect(message).toContain('Create a new device');
    await failure('device-lost', () => encoder.createState());
  });
});

describe('a step in steady state', () => {
  let context: GpuContext;
  beforeAll(async () => {
    context = await createNodeContext();
  });
  afterAll(() => {
    context.dispose();
  });

  it('is one command buffer, one submit and one readback, and creates nothing', async () => {
    const model = openModel(await wakeWordsModel());
    const encoder = await WebGpuEncoder.create(context, model, { maxStreams: 2, maxFrames: 4, kernels: PLAIN });
    await encoder.provide(CTC_LOG_PROBS);
    const [a, b] = [encoder.createState(), encoder.createState()];
    const features = (frames: number) => randoms(frames * 80, frames, 4);
    await encoder.step(
      [
        { state: a, features: features(21) },
        { state: b, features: features(13) },
      ],
      [ENCODER_OUT, CTC_LOG_PROBS],
    );
    const creators = [
      'createBuffer',
      'createBindGroup',
      'createBindGroupLayout',
      'createPipelineLayout',
      'createShaderModule',
      'createComputePipeline',
      'createComputePipelineAsync',
      'createTexture',
      'createQuerySet',
    ] as const;
    const created = creators.map((name) => vi.spyOn(context.device, name));
    const encoders = vi.spyOn(context.device, 'createCommandEncoder');
    const submits = vi.spyOn(context.device.queue, 'submit');
    const maps = vi.spyOn(GPUBuffer.prototype, 'mapAsync');
    const steps = 5;
    for (let i = 0; i < steps; i++) {
      await encoder.step(
        [
          { state: b, features: features(8) },
          { state: a, features: features(16) },
        ],
        [ENCODER_OUT, CTC_LOG_PROBS],
      );
    }
    created.forEach((spy, i) => expect(spy, creators[i]).not.toHaveBeenCalled());
    [encoders, submits, maps].forEach((spy) => expect(spy).toHaveBeenCalledTimes(steps));
    submits.mock.calls.forEach(([buffers]) => expect([...buffers]).toHaveLength(1));
    vi.restoreAllMocks();
    encoder.dispose();
  });

  // Kernels of waves take half a minute to compile on SwiftShader.
  it.runIf(testsAll)('is traced layer by layer where it runs in waves, also with a single layer', async () => {
    for (const numEncoderLayers of [1, 3]) {
      const model = randomModel({ dModel: 20, rnnHiddenSize: 24, dimFeedforward: 36, numEncoderLayers });
      const [plain, waves] = await Promise.all(
        [PLAIN, WAVES].map((kernels) => WebGpuEncoder.create(context, model, { maxStreams: 2, maxFrames: 4, kernels })),
      );
      const features = randoms(21 * plain.sizes.numFeatures, 1, 4);
      const [expected] = await plain.trace([{ state: plain.createState(), features }]);
      const [traced] = await waves.trace([{ state: waves.createState(), features }]);
      const [stepped] = await waves.step([{ state: waves.createState(), features }]);
      expect(traced.trace).toHaveLength(1 + numEncoderLayers);
      traced.trace.forEach((stage, i) => {
        expectSameBytes(stage, expected.trace[i], `stage ${i}`);
      });
      expectSameBytes(stepped.outputs[ENCODER_OUT], expected.trace[numEncoderLayers], 'stepped');
      plain.dispose();
      waves.dispose();
    }
  });

  it('refuses waves for a network without projection', async () => {
    const creating = async () =>
      WebGpuEncoder.create(context, openModel(await goldenModel('noproj')), { kernels: WAVES });
    expect(await failure('bad-argument', creating)).toContain('plain, wide, split, texels, quads, for this model');
  });

  it('costs what ARCHITECTURE.md says', async () => {
    const model = openModel(await wakeWordsModel());
    const layers = 4;
    const encoder = await WebGpuEncoder.create(context, model, { maxStreams: 1, maxFrames: 4, kernels: PLAIN });
    for (const frames of [1, 4]) {
      expect(encoder.cost(frames).dispatches).toBe(6 + layers * (4 + 2 * frames));
    }
    await encoder.provide(CTC_LOG_PROBS);
    expect(encoder.cost(4).dispatches).toBe(56);
    encoder.dispose();
    expect([...context.memory.values()].every((bytes) => bytes === 0)).toBe(true);
  });

  it.runIf(testsAll)('costs what ARCHITECTURE.md says in waves, too', async () => {
    const model = openModel(await wakeWordsModel());
    const layers = 4;
    const plain = await WebGpuEncoder.create(context, model, { maxStreams: 1, maxFrames: 4, kernels: PLAIN });
    const bytes = plain.cost(4).weightBytes;
    plain.dispose();
    const waves = await WebGpuEncoder.create(context, model, { maxStreams: 5, maxFrames: 4, kernels: WAVES });
    for (const frames of [1, 4]) {
      expect(waves.cost(frames).dispatches).toBe(6 + 4 * (layers + frames - 1));
      // More rows than go in waves.
      expect(waves.cost(frames, 20).dispatches).toBe(6 + layers * (4 + 2 * frames));
    }
    // A layer's matrices once for each frame, where the plain kernels read half of them once for all.
    expect(waves.cost(4).weightBytes).toBeGreaterThan(1.5 * bytes);
    expect(waves.cost(4, 5).weightBytes).toBe(bytes);
    const features = randoms(21 * waves.sizes.numFeatures, 1, 4);
    const { kernels: times } = await waves.profile([{ state: waves.createState(), features }]);
    expect(times.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(waves.cost(4).dispatches);
    expect(times.find(({ kernel }) => kernel === 'lstm_cell_wave')?.dispatches).toBe(layers + 3);
    waves.dispose();
    expect([...context.memory.values()].every((bytes) => bytes === 0)).toBe(true);
  });
});

describe('an encoder that is disposed of while a step is under way', () => {
  it('ends that step, and harms no other on the device', async () => {
    const context = await createNodeContext();
    expect(context.polls).toBe(true);
    const errors: string[] = [];
    context.device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
    // Large enough for a step to take many milliseconds.
    const model = randomModel({ dModel: 256, rnnHiddenSize: 512, dimFeedforward: 512, numEncoderLayers: 4 });
    // One behind the other: the second has the kernels of the first.
    const create = () => WebGpuEncoder.create(context, model, { maxStreams: 2, kernels: PLAIN });
    const first = await create();
    const second = await create();
    const state = first.createState();
    const features = (frames: number) => randoms(frames * first.sizes.numFeatures, 1, 4);
    // Once it is known how long a step takes, its readback waits before it asks.
    for (const rows of [69, 64, 64, 64, 64]) {
      await first.step([{ state, features: features(rows) }]);
    }
    const step = first.step([{ state, features: features(64) }]);
    const waiting = first.step([{ state, features: features(64) }]);
    first.dispose();
    await failure('closed', () => step);
    await failure('closed', () => waiting);
    const other = second.createState();
    const [{ frames }] = await second.step([{ state: other, features: features(9) }]);
    expect(frames).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(errors).toEqual([]);
    second.dispose();
  });
});

describe('findBatchSize', () => {
  let context: GpuContext;
  beforeAll(async () => {
    context = await createNodeContext();
  });
  afterAll(() => {
    context.dispose();
  });

  it.runIf(testsAll)('finds a power of two within capacity and memory, and gives its slots back', async () => {
    const encoder = await WebGpuEncoder.create(context, openModel(await goldenModel('odd')), {
      maxStreams: 8,
      maxFrames: 4,
    });
    const found = await findBatchSize(encoder, { memoryBytes: 1e9 });
    expect([1, 2, 4, 8]).toContain(found);
    expect(encoder.freeLanes).toBe(8);
    expect(await findBatchSize(encoder, { memoryBytes: 1 })).toBe(1);
    const taken = Array.from({ length: 8 }, () => encoder.createState());
    await failure('busy', () => findBatchSize(encoder, { memoryBytes: 1e9 }));
    taken.forEach((state) => state.dispose());
    encoder.dispose();
  });

  it('stays within the memory, whatever others have on the device', async () => {
    const model = openModel(await goldenModel('odd'));
    const own = () => (context.memory.get('states') ?? 0) + (context.memory.get('activations') ?? 0);
    const other = await WebGpuEncoder.create(context, model, { maxStreams: 64, kernels: PLAIN });
    const states = Array.from({ length: 64 }, () => other.createState());
    await other.settled();
    const before = own();
    const encoder = await WebGpuEncoder.create(context, model, { maxStreams: 64, kernels: PLAIN });
    const memoryBytes = encoder.memoryFor(8);
    expect(memoryBytes).toBeLessThan(encoder.memoryFor(16));
    expect(memoryBytes).toBeLessThan(before);
    await findBatchSize(encoder, { memoryBytes });
    expect(own() - before).toBeLessThanOrEqual(memoryBytes);
    states.forEach((state) => state.dispose());
    other.dispose();
    encoder.dispose();
  });

  it('is content with what the device has memory for', async () => {
    const encoder = await WebGpuEncoder.create(context, openModel(await goldenModel('odd')), {
      maxStreams: 64,
      kernels: PLAIN,
    });
    const create = context.device.createBuffer.bind(context.device);
    // Rooms for more than four streams are too large.
    vi.spyOn(context.device, 'createBuffer').mockImplementation((descriptor) => {
      const tooLarge = descriptor.label === 'h' && encoder.memoryFor(0) < encoder.memoryFor(8);
      return create(tooLarge ? { ...descriptor, size: 2 ** 40 } : descriptor);
    });
    expect([1, 2, 4]).toContain(await findBatchSize(encoder, { memoryBytes: 1e12 }));
    vi.restoreAllMocks();
    encoder.dispose();
  });
});
