import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { isExact } from '../../src/encoder/exactness.ts';
import { CTC_LOG_PROBS, CTC_TOKENS, ENCODER_OUT, JOINER_ENCODER_PROJ } from '../../src/encoder/outputs.ts';
import type { StreamState } from '../../src/encoder/state.ts';
import { openEngine } from '../../src/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import { nodeThreads } from '../../src/node/threads.ts';
import type { WasmEncoder } from '../../src/wasm/encoder.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { shareOut } from '../../src/wasm/share.ts';
import type { Thread, ThreadListener, Threads } from '../../src/wasm/threads.ts';
import { expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';
import { testsAll } from '../support/scope.ts';

const STREAMS = 14;
const MAX_FRAMES = 16;

/** Node's threads, and what went on between them and the calling one. */
function watched(count: number): Threads & { posts: number; live: Thread[] } {
  const threads = nodeThreads(count);
  if (!threads) {
    throw new Error('one thread has none to watch');
  }
  const watching = {
    count,
    posts: 0,
    live: [] as Thread[],
    start(listener: ThreadListener): Thread {
      const thread = threads.start(listener);
      const counted: Thread = {
        post: (message) => {
          watching.posts++;
          thread.post(message);
        },
        end: () => {
          watching.live = watching.live.filter((each) => each !== counted);
          thread.end();
        },
      };
      watching.live.push(counted);
      return counted;
    },
  };
  return watching;
}

/** What all streams give over some steps of chunks of other lengths, and their states. */
async function hear(encoder: WasmEncoder, read: readonly string[]) {
  const states = Array.from({ length: STREAMS }, () => encoder.createState());
  const heard: Record<string, number[]>[] = states.map(() => Object.fromEntries(read.map((name) => [name, []])));
  for (let turn = 0; turn < 4; turn++) {
    // In some turns not all are there, in one a single one.
    const present = states.slice(0, [STREAMS, 9, 1, STREAMS][turn]);
    const inputs = present.map((state, i) => {
      const frames = 1 + ((7 * i + 5 * turn) % MAX_FRAMES);
      const rows = 4 * frames + (state.started ? 0 : 5);
      return { state, features: randoms(rows * encoder.sizes.numFeatures, 100 * turn + i, 4) };
    });
    const results = await encoder.step(inputs, read);
    results.forEach(({ frames, outputs }, i) => {
      expect(outputs[ENCODER_OUT]).toHaveLength(frames * encoder.sizes.dModel);
      read.forEach((name) => heard[i][name].push(...outputs[name]));
    });
  }
  const values = await Promise.all(states.map((state) => state.read()));
  states.forEach((state) => {
    state.dispose();
  });
  return { heard, values };
}

describe.each<readonly [string, 'f32' | 'int8', () => Promise<Model>, readonly string[]]>([
  ['wake-words', 'f32', async () => openModel(await wakeWordsModel()), [CTC_LOG_PROBS, CTC_TOKENS]],
  ['wake-words', 'int8', async () => openModel(await wakeWordsModel()), [CTC_LOG_PROBS, CTC_TOKENS]],
  ['odd', 'f32', async () => openModel(await goldenModel('odd')), []],
  ['noproj', 'f32', async () => openModel(await goldenModel('noproj')), []],
])('the bytes of streams of %s in %s', (_, dtype, load, heads) => {
  const read = [ENCODER_OUT, JOINER_ENCODER_PROJ, ...heads];
  let model: Model;
  let expected: Awaited<ReturnType<typeof hear>>;

  const open = async (threads?: Threads) => {
    const engine = new WasmEngine('a test', threads);
    const encoder = await engine.createEncoder(model, { maxStreams: STREAMS, maxFrames: MAX_FRAMES, dtype });
    await encoder.provide(JOINER_ENCODER_PROJ);
    for (const head of [CTC_LOG_PROBS, CTC_TOKENS] as const) {
      if (heads.includes(head)) {
        await encoder.provide(head);
      }
    }
    return encoder;
  };

  beforeAll(async () => {
    model = await load();
    using encoder = await open();
    expected = await hear(encoder, read);
  });

  it.each([2, 3])('are the same over %i threads', async (count) => {
    const threads = watched(count);
    using encoder = await open(threads);
    const { heard, values } = await hear(encoder, read);
    // What it was set up by; steps of 14 lanes twice, one of 9 over two, and a single stream that asks nobody.
    expect(threads.posts).toBe(count - 1 + 2 * (count - 1) + 1);
    heard.forEach((each, i) => {
      for (const name of read) {
        const [actual, wanted] = [each, expected.heard[i]].map((of) => Float32Array.from(of[name]));
        expectSameBytes(actual, wanted, `stream ${i}: ${name}`);
      }
      expectSameBytes(values[i].h, expected.values[i].h, `stream ${i}: h`);
      expectSameBytes(values[i].c, expected.values[i].c, `stream ${i}: c`);
    });
    expect(await isExact(encoder)).toBe(true);
  });
});

describe('streams of an encoder over two threads', () => {
  let model: Model;
  beforeAll(async () => {
    model = openModel(await goldenModel('odd'));
  });

  const open = async (threads?: Threads) => {
    const encoder = await new WasmEngine('a test', threads).createEncoder(model, { maxStreams: 8, maxFrames: 4 });
    const states = Array.from({ length: 8 }, () => encoder.createState());
    const inputs = (seed: number) =>
      states.map((state, i) => {
        const rows = 4 + (state.started ? 0 : 5);
        return { state, features: randoms(rows * encoder.sizes.numFeatures, seed + i, 4) };
      });
    return { encoder, states, inputs };
  };

  it('go on in the order of calls: steps, and what is read and written meanwhile', async () => {
    const { encoder, states, inputs } = await open(watched(2));
    const alone = await open();
    const single = (state: StreamState) => ({ state, features: randoms(4 * encoder.sizes.numFeatures, 5, 4) });
    await alone.encoder.step(alone.inputs(0));
    await alone.encoder.step(alone.inputs(100));
    const expected = await alone.states[1].read();
    const [{ outputs }] = await alone.encoder.step([single(alone.states[1])]);

    await encoder.step(inputs(0));
    const first = encoder.step(inputs(100));
    // It waits for the step that has begun; what is written counts as written after it.
    const reading = states[1].read();
    states[0].zero();
    const second = encoder.step([single(states[1])]);
    const [, values, [next]] = await Promise.all([first, reading, second]);
    expectSameBytes(values.h, expected.h, 'h between the steps');
    expectSameBytes(values.c, expected.c, 'c between the steps');
    expectSameBytes(next.outputs[ENCODER_OUT], outputs[ENCODER_OUT], 'the step behind');
    const { h, c } = await states[0].read();
    expect([...h, ...c].every((value) => value === 0)).toBe(true);
    expect(states[0].started).toBe(true);
    encoder.dispose();
    alone.encoder.dispose();
  });

  it('take weights of heads between two steps', async () => {
    const { encoder, inputs } = await open(watched(2));
    const steps = [encoder.step(inputs(0))];
    const providing = encoder.provide(JOINER_ENCODER_PROJ);
    for (let i = 0; i < 20; i++) {
      steps.push(encoder.step(inputs(0).map(({ state, features }) => ({ state, features: features.slice(-320) }))));
      await Promise.resolve();
    }
    await Promise.all([...steps, providing]);
    const [{ outputs }] = await encoder.step(inputs(1), [JOINER_ENCODER_PROJ]);
    expect(outputs[JOINER_ENCODER_PROJ].some((value) => value !== 0)).toBe(true);
    encoder.dispose();
  });

  it('end with one error when a thread dies; those of later, smaller steps go on', async () => {
    const threads = watched(2);
    let isOver = false;
    // From outside, as a page's or system's own end of it, before it could answer.
    const start = (listener: ThreadListener): Thread => {
      const thread = threads.start(listener);
      const post: Thread['post'] = (message) => {
        if (isOver) {
          thread.end();
        } else {
          thread.post(message);
        }
      };
      return { ...thread, post };
    };
    const { encoder, states, inputs } = await open({ count: 2, start });
    await encoder.step(inputs(0));
    isOver = true;
    expect(await failure('worker', () => encoder.step(inputs(10)))).toContain('has died');
    await failure('worker', () => states[0].read());
    await failure('worker', () => encoder.step([{ state: states[7], features: inputs(0)[7].features }]));
    using next = encoder.createState();
    const [{ frames }] = await encoder.step([{ state: next, features: randoms(9 * 80, 1, 4) }]);
    expect(frames).toBe(1);
    encoder.dispose();
  });

  it('end with the encoder, in the middle of a step too', async () => {
    const threads = watched(3);
    const engine = new WasmEngine('a test', threads);
    const encoder = await engine.createEncoder(model, { maxStreams: 12, maxFrames: 4 });
    expect(threads.live).toHaveLength(2);
    const states = Array.from({ length: 12 }, () => encoder.createState());
    const features = randoms(9 * encoder.sizes.numFeatures, 1, 4);
    const step = encoder.step(states.map((state) => ({ state, features })));
    engine.dispose();
    await failure('closed', () => step);
    expect(threads.live).toHaveLength(0);
  });

  it('that do not start, or cannot read what they are told, are one error, and leave none behind', async () => {
    const load = (threads: Threads) => () => new WasmEngine('a test', threads).createEncoder(model);
    const start = () => {
      throw new Error('no thread here');
    };
    expect(await failure('worker', load({ count: 2, start }))).toContain('no thread here');
    const threads = watched(2);
    const silent = (listener: ThreadListener): Thread => {
      const thread = threads.start(listener);
      const post = () => {
        thread.post({ space: {}, frames: [1], heads: [] } as never);
      };
      return { ...thread, post };
    };
    // A step before the network: nothing to work with.
    expect(await failure('worker', load({ count: 2, start: silent }))).toContain('before');
    expect(threads.live).toHaveLength(0);
  });

  it('are as many as there are lanes for', async () => {
    const threads = watched(8);
    using encoder = await new WasmEngine('a test', threads).createEncoder(model, { maxStreams: 8 });
    expect(threads.live).toHaveLength(1);
    using single = await new WasmEngine('a test', threads).createEncoder(model, { maxStreams: 1 });
    expect(threads.live).toHaveLength(1);
    expect([encoder.freeLanes, single.freeLanes]).toEqual([8, 1]);
  });

  it.runIf(testsAll)('leave nothing behind in a hundred cycles', async () => {
    const threads = watched(2);
    const resident: number[] = [];
    for (let i = 0; i < 100; i++) {
      const { encoder, inputs } = await open(threads);
      await encoder.step(inputs(i));
      encoder.dispose();
      if (i === 29 || i === 99) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        resident.push(process.memoryUsage().rss);
      }
    }
    expect(threads.live).toHaveLength(0);
    // A thread takes some 4 MB, an encoder 1.2: of 70, 360 MB.
    expect(resident[1] - resident[0]).toBeLessThan(100e6);
  });
});

it('lanes are shared out among neighbours, each share about as many frames', () => {
  expect(shareOut([4, 4, 4, 4], 2)).toEqual([0, 2, 4]);
  expect(shareOut([16, 4, 4, 4, 4], 2)).toEqual([0, 1, 5]);
  expect(shareOut([9, 1, 1], 3)).toEqual([0, 1, 2, 3]);
  expect(shareOut([1, 1], 5)).toEqual([0, 1, 2]);
  expect(shareOut([3], 2)).toEqual([0, 1]);
  expect(shareOut([100, 1, 1, 1], 3)).toEqual([0, 1, 2, 4]);
});

describe('threads', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('are told of in the device’s name', async () => {
    const engine = await openNodeEngine({ device: 'cpu', threads: 3 });
    expect(engine.device).toEqual({ kind: 'cpu', name: 'CPU, WebAssembly, 3 threads', reason: 'asked for' });
    expect((await openNodeEngine({ device: 'cpu' })).device.name).toContain('one thread');
  });

  it.each([0, -1, 1.5, NaN, 65, '2' as never])('%s are refused', async (threads) => {
    await failure('bad-argument', () => openNodeEngine({ device: 'cpu', threads }));
    await failure('bad-argument', () => openEngine({ device: 'cpu', threads }));
  });

  it('that were asked for where there can be none are an error that says what is missing', async () => {
    const open = () => openEngine({ device: 'cpu', threads: 2 });
    vi.stubGlobal('Worker', undefined);
    expect(await failure('no-threads', open)).toContain('openNodeEngine({ threads })');
    vi.stubGlobal('Worker', class {});
    vi.stubGlobal('crossOriginIsolated', false);
    expect(await failure('no-threads', open)).toContain('Cross-Origin-Embedder-Policy: require-corp');
    // One thread needs nothing.
    expect((await openEngine({ device: 'cpu', threads: 1 })).device.kind).toBe('cpu');
  });

  it('keep no process alive', async () => {
    const url = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
    const script = `
      import { openModelFolder, openNodeEngine } from ${url('src/node/index.ts')};
      const model = await openModelFolder(${JSON.stringify(fileURLToPath(new URL('../../weights/wake-words', import.meta.url)))});
      const engine = await openNodeEngine({ device: 'cpu', threads: 2 });
      const encoder = await engine.createEncoder(model, { maxStreams: 8 });
      const states = Array.from({ length: 8 }, () => encoder.createState());
      const features = new Float32Array(9 * encoder.sizes.numFeatures);
      const results = await encoder.step(states.map((state) => ({ state, features })));
      console.log(results.length, 'results');`;
    const run = promisify(execFile);
    const options = ['--import', 'tsx', '--input-type=module', '--eval', script];
    const { stdout } = await run(process.execPath, options, { timeout: 60_000 });
    expect(stdout).toBe('8 results\n');
  });
});
