/** Runs in the headless browser's page: checks that all contenders give the same, then times them in turns. */
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { version_core as tensorFlowVersion } from '@tensorflow/tfjs-core';
import * as ortWasm from 'onnxruntime-web/ort.wasm.min.mjs';
import * as ortWebGpu from 'onnxruntime-web/ort.webgpu.min.mjs';
import { RillError } from '../../src/errors.ts';
import { GpuContext, nudged } from '../../src/webgpu/device/context.ts';
import { fetchModel } from '../../src/model/fetch.ts';
import type { Model } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, type EncoderSizes } from '../../src/model/sizes.ts';
import { MS_PER_FRAME } from '../runtime/bench-job.ts';
import { failure, type PageMessage } from '../runtime/page-message.ts';
import { randomModel, randomSource, type RandomSizes } from '../runtime/random-model.ts';
import { percentile } from '../runtime/statistics.ts';
import { onnxRuntime, rill, type Contender, type Create } from './contenders.ts';
import { tensorFlow } from './tensorflow.ts';

/** onnxruntime-web's two providers, and TensorFlow.js' WebGPU. */
export type Peer = 'wasm' | 'webgpu' | 'tensorflow';

export interface CompareOptions {
  /** Sizes of a network to make up, in place of the model folder. */
  random?: RandomSizes;
  peers: Peer[];
  chunkFrames: number[];
  threads: number;
  rounds: number;
}

export interface Figures {
  name: string;
  /** Largest absolute difference of `encoder_out` from Rill's over the checked chunks. */
  largestDifference?: number;
  /** Why there are no times. */
  problem?: string;
  times?: {
    steps: number;
    medianMs: number;
    p10Ms: number;
    p90Ms: number;
    /** Median time over the audio of a chunk. */
    realTimeFactor: number;
    /** Median time over Rill's. */
    ratio: number;
  };
}

export interface Comparison {
  sizes: EncoderSizes;
  versions: { onnxRuntime: string; tensorFlow: string };
  chunks: { chunkFrames: number; contenders: Figures[] }[];
}

/** Given to the page by the command. */
declare const post: (message: PageMessage) => Promise<void>;

const CHECKED_CHUNKS = 5;
/** As the tests compare with PyTorch: sums in another order differ by some 1e-5. */
const TOLERANCE = 5e-5;
/** A turn lasts so long, and one step at the least. */
const TURN_MS = 400;
/** Between turns, for one contender's threads to go to sleep before the next is timed. */
const PAUSE_MS = 100;

/** Features of a made-up stream, chunk by chunk with left context. */
function windows(numFeatures: number, frames: number): () => Float32Array {
  const random = randomSource(3);
  const next = () => 4 * random() - 8;
  let window = new Float32Array((SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES) * numFeatures).map(next);
  return () => {
    const current = window;
    window = window.map((_, i) => current.at(i + SUBSAMPLING_FACTOR * frames * numFeatures) ?? next());
    return current;
  };
}

/** One contender's way through the checks and the rounds; it ends at its first error, or its device's. */
class Entrant {
  readonly name: string;
  readonly outputs: Float32Array[] = [];
  readonly times: number[] = [];
  problem?: string;
  readonly #features: () => Float32Array;
  readonly #nudged: boolean;
  #contender?: Contender;

  /** @param nudged whether its device is asked for finished work again and again, as Rill's engine does by itself */
  constructor(name: string, features: () => Float32Array, nudged: boolean) {
    this.name = name;
    this.#features = features;
    this.#nudged = nudged;
  }

  /** What its GPU device says of its adapter. */
  get adapter(): string | undefined {
    const info = this.#contender?.device?.adapterInfo;
    return info && [info.vendor, info.architecture, info.device].filter(Boolean).join(' ');
  }

  /** The first chunks of the stream, for comparison. */
  async enter(create: () => Promise<Contender>): Promise<void> {
    await this.#guard(async () => {
      this.#contender = await create();
      this.#contender.device?.addEventListener('uncapturederror', ({ error }) => {
        this.problem ??= error.message;
      });
      for (let i = 0; i < CHECKED_CHUNKS; i++) {
        this.outputs.push(await this.#contender.step(this.#features()));
      }
    });
  }

  async takeTurn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await this.#guard(async () => {
      const end = performance.now() + TURN_MS;
      // The first step of a turn finds the caches full of the others' weights, and is not counted.
      await this.#contender?.step(this.#features());
      do {
        const features = this.#features();
        const start = performance.now();
        await this.#step(features);
        this.times.push(performance.now() - start);
      } while (performance.now() < end);
    });
  }

  /** A step, looked after as often as Rill looks after its own where browsers report finished work late. */
  async #step(features: Float32Array): Promise<void> {
    if (this.#contender) {
      const { device } = this.#contender;
      const step = this.#contender.step(features);
      await (this.#nudged && device ? nudged(device, step) : step);
    }
  }

  async leave(): Promise<void> {
    await this.#contender?.dispose();
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.problem === undefined) {
      await run().catch((error: unknown) => {
        this.problem ??= error instanceof Error ? error.message : String(error);
      });
    }
  }
}

function largestDifference(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  const differences = expected.flatMap((chunk, n) => Array.from(chunk, (value, i) => Math.abs(actual[n][i] - value)));
  return differences.reduce((largest, difference) => Math.max(largest, difference), 0);
}

async function compareAt(
  model: Model,
  chunkFrames: number,
  rounds: number,
  contenders: Readonly<Record<string, Create>>,
  reportsLate: boolean,
  onRound: () => Promise<void>,
): Promise<Figures[]> {
  const entrants = Object.keys(contenders).map(
    (name, i) => new Entrant(name, windows(model.sizes.encoder.numFeatures, chunkFrames), reportsLate && i > 0),
  );
  const [own] = entrants;
  const differences = new Map<Entrant, number>();
  for (const entrant of entrants) {
    await entrant.enter(() => contenders[entrant.name](model, chunkFrames));
    if (entrant.adapter !== undefined && entrant.adapter !== own.adapter) {
      entrant.problem ??= `on another adapter, ${entrant.adapter}`;
    }
    if (entrant.outputs.length === own.outputs.length) {
      const difference = largestDifference(entrant.outputs, own.outputs);
      differences.set(entrant, difference);
      if (!(difference <= TOLERANCE)) {
        entrant.problem = `wrong output${entrant.problem ? ` (${entrant.problem})` : ''}`;
      }
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const entrant of entrants) {
      await entrant.takeTurn();
    }
    if (own.problem !== undefined) {
      throw new RillError('gpu', {
        got: `a failure of Rill: ${own.problem}`,
        expected: 'output to compare with',
        remedy: 'Run npm test.',
      });
    }
    await onRound();
  }
  const ownMs = percentile(own.times, 0.5);
  const figures: Figures[] = [];
  for (const entrant of entrants) {
    await entrant.leave();
    const { name, problem, times } = entrant;
    const medianMs = percentile(times, 0.5);
    const timeFigures = {
      steps: times.length,
      medianMs,
      p10Ms: percentile(times, 0.1),
      p90Ms: percentile(times, 0.9),
      realTimeFactor: medianMs / (MS_PER_FRAME * chunkFrames),
      ratio: medianMs / ownMs,
    };
    const largest = differences.get(entrant);
    figures.push({ name, largestDifference: largest, problem, times: problem === undefined ? timeFigures : undefined });
  }
  return figures;
}

async function compare({ random, peers, chunkFrames, threads: wanted, rounds }: CompareOptions): Promise<Comparison> {
  // Without shared memory onnxruntime-web falls back to one.
  const threads = crossOriginIsolated ? wanted : 1;
  const gpu = await GpuContext.create();
  const engine = new WebGpuEngine(gpu);
  await post({ type: 'ready', device: engine.device });
  const model = random ? randomModel(random) : await fetchModel('/model/');
  ortWasm.env.wasm.numThreads = threads;
  ortWebGpu.env.webgpu.powerPreference = 'high-performance'; // as the others ask
  const all: Readonly<Record<Peer, readonly [name: string, create: Create]>> = {
    wasm: [`onnxruntime-web, WASM, ${threads} thread${threads === 1 ? '' : 's'}`, onnxRuntime(ortWasm, 'wasm')],
    webgpu: ['onnxruntime-web, WebGPU', onnxRuntime(ortWebGpu, 'webgpu')],
    tensorflow: ['TensorFlow.js, WebGPU', tensorFlow],
  };
  const reportsLate = await gpu.reportsLate();
  const contenders = { Rill: rill(gpu), ...Object.fromEntries(peers.map((peer) => all[peer])) };
  let done = 0;
  const chunks: Comparison['chunks'] = [];
  for (const frames of chunkFrames) {
    const figures = await compareAt(model, frames, rounds, contenders, reportsLate, () =>
      post({ type: 'event', event: { type: 'progress', done: ++done, total: rounds * chunkFrames.length } }),
    );
    chunks.push({ chunkFrames: frames, contenders: figures });
  }
  const versions = { onnxRuntime: ortWasm.env.versions.web ?? 'unknown', tensorFlow: tensorFlowVersion };
  return { versions, sizes: model.sizes.encoder, chunks };
}

try {
  const options = (await (await fetch('/options')).json()) as CompareOptions;
  await post({ type: 'done', output: await compare(options) });
} catch (error) {
  await post(failure(error));
}
