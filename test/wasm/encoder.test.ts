import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeBatch, findBatchSize } from '../../src/encoder/batch.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, ENCODER_OUT, GREEDY_TOKENS } from '../../src/encoder/outputs.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import type { WasmEncoder } from '../../src/wasm/encoder.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

const MAX_STREAMS = 3;
const MAX_FRAMES = 4;

describe('the encoder on the CPU', () => {
  let engine: WasmEngine;
  let model: Model;
  let encoder: WasmEncoder;

  beforeAll(async () => {
    engine = new WasmEngine();
    model = openModel(await goldenModel('odd'));
    encoder = await engine.createEncoder(model, { maxStreams: MAX_STREAMS, maxFrames: MAX_FRAMES });
  });
  afterAll(() => {
    engine.dispose();
  });

  const chunk = (frames: number, seed = 1) => randoms(frames * encoder.sizes.numFeatures, seed, 4);

  it('has f16 folders in f32', async () => {
    using expanded = await engine.createEncoder(model, { dtype: 'f16' });
    expect([encoder.dtype, expanded.dtype]).toEqual(['f32', 'f32']);
  });

  it('resets one stream without touching its neighbour', async () => {
    using a = encoder.createState();
    using b = encoder.createState();
    const [first] = await encoder.step([{ state: a, features: chunk(21) }]);
    await encoder.step([{ state: b, features: chunk(21, 2) }]);
    const before = await b.read();
    a.reset();
    const [again] = await encoder.step([{ state: a, features: chunk(21) }]);
    expectSameBytes(again.outputs[ENCODER_OUT], first.outputs[ENCODER_OUT], 'after reset');
    expect(await b.read()).toEqual(before);
  });

  it('keeps the context where only the states are zeroed', async () => {
    using a = encoder.createState();
    using b = encoder.createState();
    const all = chunk(21);
    const { numFeatures } = encoder.sizes;
    await encoder.step([{ state: a, features: all.subarray(0, 13 * numFeatures) }]);
    a.zero();
    const [zeroed] = await encoder.step([{ state: a, features: all.subarray(13 * numFeatures) }]);
    // The same frames with their context, from zero states.
    const [fresh] = await encoder.step([{ state: b, features: all.subarray(8 * numFeatures) }]);
    expectSameBytes(zeroed.outputs[ENCODER_OUT], fresh.outputs[ENCODER_OUT], 'zeroed');
  });

  it('has room for so many streams, and for another when one has ended', async () => {
    const states = Array.from({ length: MAX_STREAMS }, () => encoder.createState());
    expect(encoder.freeLanes).toBe(0);
    expect(await failure('busy', () => encoder.createState())).toContain('at most 3 at a time');
    await encoder.step(states.map((state) => ({ state, features: chunk(9) })));
    states[1].dispose();
    using next = encoder.createState();
    const { h, c } = await next.read();
    expect([...h, ...c].every((value) => value === 0)).toBe(true);
    await failure('closed', () => encoder.step([{ state: states[1], features: chunk(4) }]));
    [states[0], states[2]].forEach((state) => {
      state.dispose();
    });
  });

  it('runs overlapping steps in the order of their calls', async () => {
    using state = encoder.createState();
    const all = chunk(21);
    const [whole] = await encoder.step([{ state, features: all }]);
    state.reset();
    const { numFeatures, dModel } = encoder.sizes;
    const steps = [0, 1, 2, 3].map((frame) => {
      const from = frame === 0 ? 0 : 4 * frame + 5;
      return encoder.step([{ state, features: all.subarray(from * numFeatures, (4 * frame + 9) * numFeatures) }]);
    });
    (await Promise.all(steps)).forEach(([{ outputs }], frame) => {
      const expected = whole.outputs[ENCODER_OUT].subarray(frame * dModel, (frame + 1) * dModel);
      expectSameBytes(outputs[ENCODER_OUT], expected, `frame ${frame}`);
    });
  });

  it('takes features and states as they are at the call, where no other step is under way', async () => {
    using state = encoder.createState();
    const [expected] = await encoder.step([{ state, features: chunk(21) }]);
    // Often enough for some of them to come when a pause is due.
    for (let i = 0; i < 100; i++) {
      state.reset();
      const features = chunk(21);
      const step = encoder.step([{ state, features }]);
      features.fill(0);
      state.zero();
      expectSameBytes((await step)[0].outputs[ENCODER_OUT], expected.outputs[ENCODER_OUT], `time ${i}`);
    }
  });

  it('gives other work a turn between steps, and keeps their order', async () => {
    using state = encoder.createState();
    await encoder.step([{ state, features: chunk(9) }]);
    const order: number[] = [];
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns++;
      if (!isOver) {
        setImmediate(count);
      }
    };
    setImmediate(count);
    const steps = Array.from({ length: 300 }, async (_, i) => {
      await encoder.step([{ state, features: chunk(16, i) }]);
      order.push(i);
    });
    await Promise.all(steps);
    isOver = true;
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(turns).toBeGreaterThan(1);
  });

  it('calls for the inputs right before a step, and does nothing without any', async () => {
    using state = encoder.createState();
    const seen: string[] = [];
    const late = await encoder.stepLate(
      () => {
        seen.push('prepare');
        return [{ state, features: chunk(9) }];
      },
      [ENCODER_OUT],
      () => seen.push(`submitted ${state.started}`),
    );
    expect(seen).toEqual(['prepare', 'submitted true']);
    expect(late.results).toHaveLength(1);
    expect(late.computeMs).toBeGreaterThan(0);
    const none = await encoder.stepLate(
      () => [],
      [ENCODER_OUT],
      () => expect.fail('no step'),
    );
    expect(none.results).toEqual([]);
  });

  it('refuses chunks, features and outputs that do not fit, and nothing changes', async () => {
    using a = encoder.createState();
    using b = encoder.createState();
    for (const frames of [0, 5, 8, 10, 25]) {
      const message = await failure('bad-argument', () => encoder.step([{ state: a, features: chunk(frames) }]));
      expect(message).toContain('4n + 5 frames of 80 mel bins, n from 1 to 4');
    }
    for (const bad of [NaN, Infinity, -Infinity]) {
      const features = chunk(9, 3);
      features[2 * encoder.sizes.numFeatures + 7] = bad;
      const inputs = [
        { state: a, features: chunk(9) },
        { state: b, features },
      ];
      const says = `got ${bad} at frame 2, mel bin 7 of the features`;
      expect(await failure('bad-argument', () => encoder.step(inputs))).toContain(says);
      expect(await failure('bad-argument', () => encoder.trace(inputs))).toContain(says);
    }
    await failure('bad-argument', () => encoder.step([]));
    const input = { state: a, features: chunk(9) };
    await failure('bad-argument', () => encoder.step([input, input]));
    await failure('bad-argument', () => encoder.step([input], ['nothing']));
    await failure('bad-argument', () => encoder.step([input], [CTC_LOG_PROBS]));
    expect([a.started, b.started]).toEqual([false, false]);
    const { h, c } = await a.read();
    expect([...h, ...c].every((value) => value === 0)).toBe(true);
    const [after] = await encoder.step([input]);
    const [expected] = await encoder.step([{ state: b, features: chunk(9) }]);
    expectSameBytes(after.outputs[ENCODER_OUT], expected.outputs[ENCODER_OUT], 'after the refusals');
    await failure('bad-argument', () => encoder.step([{ state: a, features: chunk(9) }]));
    c[3] = NaN;
    await failure('bad-argument', () => {
      a.write({ h, c });
    });
  });

  it('gives each output once it was asked for, while steps run', async () => {
    using own = await engine.createEncoder(openModel(await wakeWordsModel()), { maxFrames: MAX_FRAMES });
    const state = own.createState();
    const features = chunk(9);
    const [before] = await own.step([{ state, features }]);
    expect(own.canProvide(CTC_TOKENS)).toBe(true);
    expect(own.canProvide(GREEDY_TOKENS)).toBe(false);
    state.reset();
    // A step between the read of a head's weights and their place in memory.
    const providing = [own.provide(CTC_TOKENS), own.provide(CTC_LOG_PROBS), own.provide(CTC_TOKENS)];
    await own.step([{ state, features }]);
    await Promise.all(providing);
    state.reset();
    const [after] = await own.step([{ state, features }], [CTC_TOKENS, ENCODER_OUT, CTC_LOG_PROBS]);
    expectSameBytes(after.outputs[ENCODER_OUT], before.outputs[ENCODER_OUT], 'encoder_out');
    const { [CTC_TOKENS]: picked, [CTC_LOG_PROBS]: logProbs } = after.outputs;
    expect(picked).toHaveLength(2);
    expect(picked[1]).toBe(logProbs[picked[0]]);
    expect(Math.max(...logProbs)).toBe(picked[1]);
    await failure('bad-argument', () => own.provide(CTC_TOKENS, { blankPenalty: 1 }));
    await failure('bad-argument', () => own.provide(GREEDY_TOKENS));
  });

  it('measures what a batch is best made of', async () => {
    expect(await findBatchSize(encoder, { memoryBytes: Infinity })).toBeLessThanOrEqual(MAX_STREAMS);
    expect(encoder.freeLanes).toBe(MAX_STREAMS);
  });
});

describe('memory on the CPU', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Bytes outside of JavaScript's heap, WebAssembly's memories among them, once all is collected. */
  const external = async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 4; i++) {
      collect();
      // Memory that was let go is swept in tasks of its own.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return process.memoryUsage().external;
  };

  it('is accounted for as it grows, and given back', async () => {
    const engine = new WasmEngine();
    const model = openModel(await goldenModel('odd'));
    const encoder = await engine.createEncoder(model, { maxStreams: 64, maxFrames: 16 });
    const weights = engine.memory.get('weights') ?? 0;
    expect(weights).toBeGreaterThan(4 * 238876);
    const activations = () => engine.memory.get('activations') ?? 0;
    const features = randoms(69 * encoder.sizes.numFeatures, 1, 4);
    const sizes: number[] = [];
    for (const count of [1, 8, 4, 40]) {
      const states = Array.from({ length: count }, () => encoder.createState());
      await encoder.step(states.map((state) => ({ state, features })));
      sizes.push(activations());
      expect(engine.memory.get('states')).toBeGreaterThan(0);
      states.forEach((state) => {
        state.dispose();
      });
    }
    expect(sizes[1]).toBeGreaterThan(sizes[0]);
    expect(sizes[2]).toBe(sizes[1]);
    expect(sizes[3]).toBeGreaterThan(sizes[1]);
    expect(sizes[3]).toBeLessThanOrEqual(1.01 * encoder.memoryFor(40));
    const last = encoder.createState();
    encoder.dispose();
    encoder.dispose();
    expect([...engine.memory.values()]).toEqual([0, 0, 0]);
    await failure('closed', () => last.read());
    await failure('closed', () => encoder.step([{ state: last, features }]));
    await failure('closed', () => encoder.createState());
    await failure('closed', () => encoder.provide(CTC_TOKENS));
  });

  it('refuses a capacity that is out of range', async () => {
    const engine = new WasmEngine();
    const model = openModel(await goldenModel('odd'));
    for (const options of [{ maxStreams: 0 }, { maxFrames: 129 }, { maxLanes: 1e6 }, { maxStreams: 1.5 }]) {
      await failure('bad-argument', () => engine.createEncoder(model, options));
    }
  });

  it('is the same after a hundred encoders as after ten, though nobody lets go of them', async () => {
    const engine = new WasmEngine();
    const model = openModel(await goldenModel('odd'));
    const ended: WasmEncoder[] = [];
    const cycles = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const encoder = await engine.createEncoder(model);
        const features = randoms(9 * encoder.sizes.numFeatures, i, 4);
        await encodeBatch(encoder, features, [9]);
        encoder.dispose();
        ended.push(encoder);
      }
      return external();
    };
    const [ten, hundred] = [await cycles(10), await cycles(100)];
    // An encoder takes 1.2 MB: of a hundred, 120 MB, none is left.
    expect(hundred - ten).toBeLessThan(5e6);
    expect(ended).toHaveLength(110);
  });

  it('that there is none of is said, and a step that found none has changed nothing', async () => {
    const model = openModel(await goldenModel('odd'));
    const refuse = () =>
      vi.spyOn(WebAssembly.Memory.prototype, 'grow').mockImplementation(() => {
        throw new RangeError('failed to grow memory');
      });
    refuse();
    expect(await failure('no-memory', () => new WasmEngine().createEncoder(model))).toContain('MiB more');
    vi.restoreAllMocks();
    const encoder = await new WasmEngine().createEncoder(model, { maxFrames: 128 });
    const state = encoder.createState();
    const features = randoms((4 * 128 + 5) * encoder.sizes.numFeatures, 1, 4);
    refuse();
    await failure('no-memory', () => encoder.step([{ state, features }]));
    const { h } = await state.read();
    expect(state.started || h.some((value) => value !== 0)).toBe(false);
    vi.restoreAllMocks();
    const [{ frames }] = await encoder.step([{ state, features }]);
    expect(frames).toBe(128);
  });
});
