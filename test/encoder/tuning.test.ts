import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import { openModel } from '../../src/model/model.ts';
import { BufferScope, GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import type { KernelChoice } from '../../src/webgpu/methods.ts';
import { candidateKernels } from '../../src/webgpu/tuning/candidates.ts';
import { chooseKernels, fastestKernels } from '../../src/webgpu/tuning/choice.ts';
import { checkedSteps, objection, rehearseKernels, rehearsedSteps } from '../../src/webgpu/tuning/rehearsal.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { failure } from '../support/failure.ts';
import { goldenModel } from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';

const PLAIN: KernelChoice = { convolutions: 'plain', matrices: 'plain' };
const WIDE: KernelChoice = { convolutions: 'wide', matrices: 'wide' };
const SPLIT: KernelChoice = { convolutions: 'plain', matrices: 'split' };
const WAVES: KernelChoice = { convolutions: 'plain', matrices: 'waves' };
const TEXELS: KernelChoice = { convolutions: 'texels', matrices: 'texels' };
const QUADS: KernelChoice = { convolutions: 'quads', matrices: 'quads' };
const CAPACITY = { maxStreams: 16, maxFrames: 4, maxLanes: 16 };

afterEach(() => {
  vi.restoreAllMocks();
});

/** A device without room for textures: it has two methods to choose among, which take less long to compile than all. */
function ofTwo(context: GpuContext): GpuContext {
  vi.spyOn(context, 'largestTexture', 'get').mockReturnValue(1);
  return context;
}
const contextOfTwo = async () => ofTwo(await createNodeContext());

describe('the fastest kernels', () => {
  it('are found for each part on its own, over all steps', () => {
    const rehearsals = [
      { choice: PLAIN, ms: { embedding: [2, 4], layers: [2, 4] } },
      { choice: SPLIT, ms: { embedding: [2, 4], layers: [0.5, 8] } },
      { choice: TEXELS, ms: { embedding: [1, 4], layers: [4, 4] } },
    ];
    // split: a quarter and twice as long, together 0.7; texels: twice as long.
    expect(fastestKernels(rehearsals)).toEqual({ convolutions: 'texels', matrices: 'split' });
  });

  it('are the plain ones unless others are faster by more than noise', () => {
    const rehearsals = [
      { choice: PLAIN, ms: { embedding: [2], layers: [2] } },
      { choice: TEXELS, ms: { embedding: [1.96], layers: [1.96] } },
    ];
    expect(fastestKernels(rehearsals)).toEqual(PLAIN);
  });

  it('are not those that were refused', () => {
    const rehearsals = [
      { choice: PLAIN, ms: { embedding: [2], layers: [2] } },
      { choice: TEXELS, refused: 'other bytes than the plain kernels' },
    ];
    expect(fastestKernels(rehearsals)).toEqual(PLAIN);
  });
});

describe('what kernels leave behind', () => {
  const plain = [Float32Array.of(1, -2, 3), Float32Array.of(0, 0.5)];

  it('must be the same bytes', () => {
    expect(objection(plain, plain)).toBeUndefined();
    expect(objection([plain[0], Float32Array.of(0, 0.5 + 1e-7)], plain)).toContain('other bytes');
    expect(objection([plain[0], Float32Array.of(-0, 0.5)], plain)).toContain('other bytes');
  });
});

describe('a rehearsal', () => {
  it('has one stream, and many where there can be many', () => {
    expect(rehearsedSteps(1).map(({ lanes }) => lanes)).toEqual([1, 1]);
    expect(rehearsedSteps(16).map(({ lanes }) => lanes)).toEqual([1, 1, 16]);
  });

  it.each(alsoInAll<WeightDtype>([], ['f32', 'f16', 'int8']))(
    'finds the same bytes by every choice in %s',
    async (dtype) => {
      const gpu = await createNodeContext();
      const model = openModel(await goldenModel('odd'));
      const rehearsals = await rehearseKernels(
        gpu,
        model,
        dtype,
        rehearsedSteps(16),
        checkedSteps({ maxStreams: 16, maxFrames: 16 }),
        candidateKernels(gpu, model, dtype),
      );
      expect(rehearsals.map(({ choice, refused }) => [choice, refused])).toEqual([
        [PLAIN, undefined],
        [WIDE, undefined],
        [TEXELS, undefined],
        [QUADS, undefined],
      ]);
      rehearsals.forEach(({ ms }) => expect(ms?.layers.every((each) => each > 0)).toBe(true));
      expect([...gpu.memory.values()].every((bytes) => bytes === 0)).toBe(true);
    },
  );

  it('has kernels with barriers too on an adapter that is a GPU', async () => {
    const { device, gpu, adapter } = await createNodeContext();
    const context = new GpuContext(device, { ...adapter, isFallbackAdapter: false }, gpu);
    const model = openModel(await goldenModel('odd'));
    const choices = candidateKernels(context, model, 'f16');
    expect(choices).toEqual([PLAIN, WIDE, SPLIT, WAVES, TEXELS, QUADS]);
    if (!testsAll) {
      return;
    }
    const rehearsals = await rehearseKernels(
      context,
      model,
      'f16',
      rehearsedSteps(1),
      checkedSteps({ maxStreams: 1, maxFrames: 16 }),
      choices,
    );
    expect(rehearsals.map(({ choice, refused }) => [choice, refused])).toEqual(
      [PLAIN, WIDE, SPLIT, WAVES, TEXELS, QUADS].map((choice) => [choice, undefined]),
    );
  });

  it('has no kernels in small workgroups on a GPU, whose subgroups they would leave idle', async () => {
    const { device, gpu, adapter } = await createNodeContext();
    const context = new GpuContext(device, { ...adapter, isFallbackAdapter: false, subgroupMinSize: 32 }, gpu);
    const choices = candidateKernels(context, openModel(await goldenModel('odd')), 'f32');
    expect(choices).toEqual([PLAIN, WIDE, SPLIT, WAVES]);
  });

  it.runIf(testsAll)('gives every choice a time, also by a clock that ticks once in 20 ms', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => 20 * Math.floor(now() / 20));
    vi.resetModules();
    const { rehearseKernels: rehearse } = await import('../../src/webgpu/tuning/rehearsal.ts');
    const rehearsals = await rehearse(gpu, model, 'f32', [{ lanes: 1, frames: 1 }], [], [PLAIN, WIDE]);
    vi.resetModules();
    for (const { ms } of rehearsals) {
      const times = [...(ms?.embedding ?? []), ...(ms?.layers ?? [])];
      expect(times).toHaveLength(2);
      times.forEach((each) => {
        expect(each).toBeGreaterThan(0);
      });
    }
  });

  it('refuses kernels that leave other states behind, and gives back what they had', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const create = gpu.device.createShaderModule.bind(gpu.device);
    vi.spyOn(gpu.device, 'createShaderModule').mockImplementation((descriptor) =>
      descriptor.label === 'lstm_cell_texels'
        ? create({ ...descriptor, code: descriptor.code.replace('] = next;', '] = next + next;') })
        : create(descriptor),
    );
    const rehearsals = await rehearseKernels(gpu, model, 'f32', [], [{ lanes: 1, frames: 1 }], [PLAIN, TEXELS]);
    expect(rehearsals.map(({ refused }) => refused)).toEqual([undefined, 'other bytes than the plain kernels']);
    expect(gpu.resources).toBe(0);
  });

  it('fails where the plain kernels do not compile', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    vi.spyOn(gpu.device, 'createComputePipelineAsync').mockRejectedValue(new Error('a bad driver'));
    await failure('shader', () => rehearseKernels(gpu, model, 'f32', [], [{ lanes: 1, frames: 1 }], [PLAIN, WIDE]));
  });

  it('has no textures where a matrix would exceed one', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const largest = vi.spyOn(gpu, 'largestTexture', 'get');
    const inTextures = (rows: number, { sizes } = model) => {
      largest.mockReturnValue(rows);
      return candidateKernels(gpu, { ...model, sizes }, 'f32').some(({ matrices }) => matrices === 'texels');
    };
    const rows = Array.from({ length: 128 }, (_, i) => i + 1).find((count) => inTextures(count)) ?? 0;
    expect(rows).toBe(72);
    // A vocabulary so large that its matrix is the largest: 64 inputs and 32 outputs to a row.
    const { encoder } = model.sizes;
    const vocabRows = 100 * Math.ceil(encoder.dModel / 64);
    const large = { ...model, sizes: { ...model.sizes, vocabSize: 3200 } };
    expect([inTextures(vocabRows, large), inTextures(vocabRows - 1, large)]).toEqual([true, false]);
    largest.mockReturnValue(1);
    const message = await failure('bad-argument', () => {
      new BufferScope(gpu).createTexture('activations', 'too large', 4096, 'rgba32float', [512, 2]);
    });
    expect(message).toContain('at most 1 on a side');
  });

  it('does without kernels that do not compile', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const create = gpu.device.createComputePipelineAsync.bind(gpu.device);
    vi.spyOn(gpu.device, 'createComputePipelineAsync').mockImplementation((descriptor) =>
      descriptor.label?.endsWith('_texels') ? Promise.reject(new Error('no such driver')) : create(descriptor),
    );
    const [plain, texels] = await rehearseKernels(
      gpu,
      model,
      'f32',
      rehearsedSteps(1),
      checkedSteps({ maxStreams: 1, maxFrames: 16 }),
      [PLAIN, TEXELS],
    );
    expect(plain.ms).toBeDefined();
    expect(texels.refused).toContain('does not compile');
    expect(fastestKernels([plain, texels])).toEqual(PLAIN);
  });

  it.each(alsoInAll<number>([], [1, 8, 16]))(
    'runs every kernel over matrices that it compiles, for up to %i streams',
    async (maxStreams) => {
      const context = await createNodeContext();
      const { device } = context;
      const model = openModel(await goldenModel('odd'));
      const made = new Map<GPUComputePipeline, string>();
      const create = device.createComputePipelineAsync.bind(device);
      vi.spyOn(device, 'createComputePipelineAsync').mockImplementation(async (descriptor) => {
        const pipeline = await create(descriptor);
        const { label = '', compute } = descriptor;
        if (/^(linear|lstm_cell|lstm_projection)/.test(label)) {
          made.set(pipeline, `${label} ${JSON.stringify(compute.constants)}`);
        }
        return pipeline;
      });
      const createEncoder = device.createCommandEncoder.bind(device);
      vi.spyOn(device, 'createCommandEncoder').mockImplementation((descriptor) => {
        const encoder = createEncoder(descriptor);
        const begin = encoder.beginComputePass.bind(encoder);
        encoder.beginComputePass = (options) => {
          const pass = begin(options);
          const set = pass.setPipeline.bind(pass);
          pass.setPipeline = (pipeline) => {
            made.delete(pipeline);
            set(pipeline);
          };
          return pass;
        };
        return encoder;
      });
      const all = [...rehearsedSteps(maxStreams), ...checkedSteps({ maxStreams, maxFrames: 16 })];
      await rehearseKernels(context, model, 'f32', [], all, candidateKernels(context, model, 'f32'));
      expect([...made.values()]).toEqual([]);
    },
  );

  it.runIf(testsAll)('is held once for a model of the same sizes, and again after it failed', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const failing = { ...model, weights: { ...model.weights, read: () => Promise.reject(new Error('gone')) } };
    await expect(chooseKernels({ context: gpu, model: failing, dtype: 'f32', capacity: CAPACITY })).rejects.toThrow(
      'gone',
    );
    const first = await chooseKernels({ context: gpu, model, dtype: 'f32', capacity: CAPACITY });
    const pipelines = vi.spyOn(gpu.device, 'createComputePipelineAsync');
    expect(await chooseKernels({ context: gpu, model, dtype: 'f32', capacity: CAPACITY })).toBe(first);
    expect(pipelines).not.toHaveBeenCalled();
  });
});

describe('a choice that a browser keeps', () => {
  /** Cache storage, as far as it is used. */
  function stubCaches(): Map<string, Response> {
    const kept = new Map<string, Response>();
    const cache = {
      match: async (key: string) => kept.get(key)?.clone(),
      put: async (key: string, response: Response) => void kept.set(key, response),
    };
    vi.stubGlobal('caches', { open: async () => cache });
    return kept;
  }
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  /** Under what choices are kept, beside the methods that are being tried. */
  const choices = (kept: ReadonlyMap<string, Response>) => [...kept.keys()].filter((key) => !key.endsWith('trials'));
  /** As on the next visit, when nothing is in the page's memory any more. */
  const nextVisit = async () => (await import('../../src/webgpu/tuning/choice.ts')).chooseKernels;
  const FEW = { maxStreams: 1, maxFrames: 4 };

  it.runIf(testsAll)('is taken again while it does as the plain kernels, and not timed', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const kept = stubCaches();
    const choose = await nextVisit();
    await choose({ context: gpu, model, dtype: 'f32', capacity: FEW });
    const [key] = choices(kept);
    kept.set(key, Response.json(WIDE));
    vi.resetModules();
    const submits = vi.spyOn(gpu.device.queue, 'submit');
    expect(await (await nextVisit())({ context: gpu, model, dtype: 'f32', capacity: FEW })).toEqual(WIDE);
    // Four steps of two choices, and what reads back three buffers after each.
    expect(submits.mock.calls.length).toBeLessThan(40);
  });

  it.runIf(testsAll)('has nothing of a method that has taken the device with it twice', async () => {
    const model = openModel(await goldenModel('odd'));
    const kept = stubCaches();
    const tried: string[][] = [];
    for (let visit = 0; visit < 3; visit++) {
      vi.resetModules();
      const gpu = await createNodeContext();
      const labels: string[] = [];
      tried.push(labels);
      const create = gpu.device.createComputePipelineAsync.bind(gpu.device);
      vi.spyOn(gpu.device, 'createComputePipelineAsync').mockImplementation((descriptor) => {
        labels.push(descriptor.label ?? '');
        if (descriptor.label === 'lstm_cell_texels') {
          gpu.device.destroy();
        }
        return create(descriptor);
      });
      const choosing = (await nextVisit())({ context: gpu, model, dtype: 'f32', capacity: FEW });
      if (visit < 2) {
        await expect(choosing).rejects.toThrow('device');
      } else {
        expect(JSON.stringify(await choosing)).not.toContain('texels');
      }
    }
    expect(tried.map((labels) => labels.includes('lstm_cell_texels'))).toEqual([true, true, false]);
    expect(tried[2]).toContain('lstm_cell_quads');
    // What is kept then is the choice, and no method that is being tried.
    expect(await Promise.all([...kept.values()].map((response) => response.clone().json()))).toContainEqual({});
  });

  it.runIf(testsAll)('is of one adapter, dtype and number of streams', async () => {
    const { device, gpu, adapter } = await createNodeContext();
    const context = (description: string) => ofTwo(new GpuContext(device, { ...adapter, description }, gpu));
    const model = openModel(await goldenModel('odd'));
    const kept = stubCaches();
    const choose = await nextVisit();
    const [one, other] = [context('one card'), context('another card')];
    await choose({ context: one, model, dtype: 'f32', capacity: FEW });
    await choose({ context: one, model, dtype: 'f32', capacity: FEW });
    expect(choices(kept)).toHaveLength(1);
    await choose({ context: one, model, dtype: 'int8', capacity: FEW });
    await choose({ context: one, model, dtype: 'f32', capacity: { ...FEW, maxStreams: 16 } });
    await choose({ context: other, model, dtype: 'f32', capacity: FEW });
    expect(choices(kept)).toHaveLength(4);
  });

  it.runIf(testsAll)('is made anew when the driver no longer takes it', async () => {
    const gpu = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const kept = stubCaches();
    await (
      await nextVisit()
    )({ context: gpu, model, dtype: 'f32', capacity: FEW });
    const [key] = choices(kept);
    kept.set(key, Response.json(TEXELS));
    vi.resetModules();
    const create = gpu.device.createComputePipelineAsync.bind(gpu.device);
    vi.spyOn(gpu.device, 'createComputePipelineAsync').mockImplementation((descriptor) =>
      descriptor.label?.endsWith('_texels') ? Promise.reject(new Error('another driver')) : create(descriptor),
    );
    const choice = await (await nextVisit())({ context: gpu, model, dtype: 'f32', capacity: FEW });
    expect(JSON.stringify(choice)).not.toContain('texels');
    expect(await kept.get(key)?.clone().json()).toEqual(choice);
  });
});

describe('an encoder on an adapter that was not measured', () => {
  const kept = new Map<string, string>();
  const kernelStore = {
    get: async (key: string) => kept.get(key),
    set: async (key: string, value: string) => void kept.set(key, value),
  };
  // In int8 SwiftShader is not among the adapters that need no rehearsal.
  const options = { maxStreams: 1, maxFrames: 3, kernelStore, dtype: 'int8' } as const;
  /** As on the next visit. */
  const fresh = async () => {
    vi.resetModules();
    return (await import('../../src/webgpu/encoder.ts')).WebGpuEncoder;
  };
  const keptChoice = () =>
    [...kept].filter(([key]) => !key.endsWith('trials')).map(([, value]): unknown => JSON.parse(value));
  /** From now on the kernels that differ from the plain ones do not compile. */
  const refuseWide = ({ device }: GpuContext) => {
    const create = device.createComputePipelineAsync.bind(device);
    vi.spyOn(device, 'createComputePipelineAsync').mockImplementation((descriptor) =>
      descriptor.compute.constants?.tile === 16 ? Promise.reject(new Error('another driver')) : create(descriptor),
    );
  };
  beforeEach(() => {
    kept.clear();
  });
  afterEach(() => {
    vi.resetModules();
  });

  it('starts at once, and has the kernels that it finds in idle moments; others have them from the start', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const encoders = await fresh();
    const encoder = await encoders.create(gpu, model, options);
    expect([encoder.kernels, kept.size]).toEqual([PLAIN, 0]);
    // One that ends meanwhile.
    const other = await encoders.create(gpu, model, options);
    other.dispose();
    const settled = await encoder.settledKernels();
    expect(keptChoice()).toEqual([settled]);
    expect(encoder.kernels).toEqual(settled);
    const next = await encoders.create(gpu, model, options);
    expect(next.kernels).toEqual(settled);
    const pipelines = vi.spyOn(gpu.device, 'createComputePipelineAsync');
    await next.settledKernels();
    expect(pipelines).not.toHaveBeenCalled();
    encoder.dispose();
    next.dispose();
    expect(gpu.resources).toBe(0);
  });

  it.runIf(testsAll)('is there when they are found, where that is asked for', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const encoder = await (await fresh()).create(gpu, model, { ...options, rehearse: 'before' });
    expect(keptChoice()).toEqual([encoder.kernels]);
    encoder.dispose();
    const wrong = { ...options, rehearse: 'never' as 'after' };
    expect(await failure('bad-argument', () => WebGpuEncoder.create(gpu, model, wrong))).toContain('after or before');
  });

  it('starts with the kernels that were kept, and does without those that are not what they were', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const encoders = await fresh();
    const keeping = await encoders.create(gpu, model, { ...options, rehearse: 'before' });
    keeping.dispose();
    const [key] = [...kept.keys()].filter((each) => !each.endsWith('trials'));
    kept.set(key, JSON.stringify(WIDE));
    const again = await (await fresh()).create(gpu, model, options);
    expect(again.kernels).toEqual(WIDE);
    expect(await again.settledKernels()).toEqual(WIDE);
    again.dispose();

    const deceived = await (await fresh()).create(gpu, model, options);
    expect(deceived.kernels).toEqual(WIDE);
    refuseWide(gpu);
    expect(await deceived.settledKernels()).toEqual(PLAIN);
    expect(keptChoice()).toEqual([PLAIN]);
    deceived.dispose();

    // Where they do not even compile it starts with the plain ones.
    kept.set(key, JSON.stringify(WIDE));
    const plain = await (await fresh()).create(gpu, model, options);
    expect(plain.kernels).toEqual(PLAIN);
    plain.dispose();
    await plain.settledKernels();
    expect(gpu.resources).toBe(0);
  });

  it.runIf(testsAll)('does without a store that fails', async () => {
    const gpu = await contextOfTwo();
    const model = openModel(await goldenModel('odd'));
    const denied = async () => Promise.reject(new Error('denied'));
    const store = { get: denied, set: denied };
    const encoder = await (await fresh()).create(gpu, model, { ...options, kernelStore: store });
    expect((await encoder.settledKernels()).matrices).toBeTypeOf('string');
    encoder.dispose();
  });

  it.each([
    ['it ends', (encoder: WebGpuEncoder) => encoder.dispose()],
    ['the device is lost', (_: WebGpuEncoder, { device }: GpuContext) => device.destroy()],
    ['both', (encoder: WebGpuEncoder, gpu: GpuContext) => [encoder, gpu].forEach((each) => each.dispose())],
  ])('ends its rehearsal when %s, without a word', async (what, end) => {
    const { device, adapter, gpu: instance } = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    const encoders = await fresh();
    // Of the same copy of the library: an error must be known for what it is.
    const { GpuContext: Context } = await import('../../src/webgpu/device/context.ts');
    const gpu = ofTwo(new Context(device, adapter, instance));
    const encoder = await encoders.create(gpu, model, options);
    // While a method is being tried.
    await vi.waitFor(() => expect([...kept.values()].some((value) => value.includes('times'))).toBe(true), 60_000);
    end(encoder, gpu);
    expect(await encoder.settledKernels()).toEqual(PLAIN);
    expect(keptChoice()).toEqual([]);
    // Nobody but the device itself is to blame for the method.
    expect([...kept.values()].some((value) => value.includes('times'))).toBe(what === 'the device is lost');
    encoder.dispose();
    expect(gpu.resources).toBe(0);
  });
});

it.runIf(testsAll)('a device without features chooses among the kernels that need none', async () => {
  const { gpu } = await createNodeContext();
  const adapter = await gpu?.requestAdapter();
  const device = await adapter?.requestDevice();
  if (!adapter || !device) {
    throw new Error('no device');
  }
  const context = new GpuContext(device, adapter.info, gpu);
  const model = openModel(await goldenModel('odd'));
  expect(candidateKernels(context, model, 'f32')).toEqual([PLAIN, WIDE, TEXELS]);
  const { matrices } = await chooseKernels({ context: ofTwo(context), model, dtype: 'f32', capacity: CAPACITY });
  expect(['plain', 'wide']).toContain(matrices);
});

describe('the option `kernels`', () => {
  it('refuses waves where a layer’s matrix of all layers exceeds a binding', async () => {
    const context = await createNodeContext();
    const model = openModel(await goldenModel('odd'));
    vi.spyOn(context, 'largestBinding', 'get').mockReturnValue(1 << 16);
    const message = await failure('bad-argument', () =>
      WebGpuEncoder.create(context, model, { kernels: WAVES, maxStreams: 1, maxFrames: 1 }),
    );
    expect(message).toContain('plain, wide, split, texels, quads, for this model');
  });

  it('refuses what a device without the feature cannot run', async () => {
    const { gpu } = await createNodeContext();
    const device = await (await gpu?.requestAdapter())?.requestDevice();
    if (!device) {
      throw new Error('no device');
    }
    const context = new GpuContext(device, {}, gpu);
    const model = openModel(await goldenModel('odd'));
    const message = await failure('bad-argument', () => WebGpuEncoder.create(context, model, { kernels: QUADS }));
    expect(message).toContain('plain, wide, split, waves, texels, for this model');
    const encoder = await WebGpuEncoder.create(context, model, { maxStreams: 1 });
    expect(encoder.kernels).toEqual(PLAIN);
    encoder.dispose();
  });
});
