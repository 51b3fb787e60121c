/** Runs in the headless browser's page: compares steps, or loads one contender where nothing was loaded before. */
import { version_core as tensorFlowVersion } from '@tensorflow/tfjs-core';
import * as twoThreads from 'onnxruntime-web/ort.wasm.min.mjs';
import * as oneThread from 'onnxruntime-web/ort.wasm.min.mjs?one-thread';
import * as ortWebGpu from 'onnxruntime-web/ort.webgpu.min.mjs';
import { openModel, type Model } from '../../src/model/model.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { failure, type PageMessage } from '../runtime/page-message.ts';
import { randomModel, type RandomSizes } from '../runtime/random-model.ts';
import { compareSteps, type Comparison } from './compare.ts';
import { onnxRuntime, rill, type Create } from './contenders.ts';
import type { PageWord } from './lineup.ts';
import { measureLoad, type Loaded } from './load.ts';
import type { StepSize } from './step-size.ts';
import { tensorFlow } from './tensorflow.ts';

export type PageJob =
  | {
      what: 'steps';
      /** Sizes of a network to make up, in place of the model folder. */
      random?: RandomSizes;
      who: PageWord[];
      sizes: StepSize[];
      rounds: number;
    }
  | { what: 'load'; who: PageWord };

/** Given to the page by the command. */
declare const post: (message: PageMessage) => Promise<void>;

/** How each is made; those with a GPU of the page's. */
function creators(gpu: GpuContext | undefined): Readonly<Partial<Record<PageWord, Create>>> {
  // Once for each copy of the module: sessions of one share their threads. Without shared memory there is one anyway.
  oneThread.env.wasm.numThreads = 1;
  twoThreads.env.wasm.numThreads = 2;
  ortWebGpu.env.webgpu.powerPreference = 'high-performance'; // as the others ask
  const engine = new WasmEngine();
  return {
    'rill-f32': rill(engine, 'f32'),
    'rill-int8': rill(engine, 'int8'),
    'wasm-1': onnxRuntime(oneThread, 'wasm'),
    ...(crossOriginIsolated && { 'wasm-2': onnxRuntime(twoThreads, 'wasm') }),
    ...(gpu && {
      'rill-webgpu': rill(new WebGpuEngine(gpu, { rehearse: 'before' }), 'f32', gpu.device),
      'ort-webgpu': onnxRuntime(ortWebGpu, 'webgpu'),
      tensorflow: tensorFlow,
    }),
  };
}

const ON_GPU: ReadonlySet<PageWord> = new Set<PageWord>(['rill-webgpu', 'ort-webgpu', 'tensorflow']);

/** The files of the model folder, as bytes and text in memory. */
async function fetchFiles(): Promise<() => Model> {
  const [config, weights] = await Promise.all(
    ['config.json', 'model.safetensors'].map(async (name) => (await fetch(`/model/${name}`)).arrayBuffer()),
  );
  return () =>
    openModel({ 'config.json': new TextDecoder().decode(config), 'model.safetensors': new Uint8Array(weights) });
}

async function steps({ random, who, sizes, rounds }: Extract<PageJob, { what: 'steps' }>): Promise<Comparison> {
  const gpu = who.some((word) => ON_GPU.has(word)) ? await GpuContext.create() : undefined;
  await post({ type: 'ready', device: (gpu ? new WebGpuEngine(gpu) : new WasmEngine()).device });
  const model = random ? randomModel(random) : (await fetchFiles())();
  const settings = {
    rounds,
    reportsLate: (await gpu?.reportsLate()) ?? false,
    onProgress: (done: number, total: number) => post({ type: 'event', event: { type: 'progress', done, total } }),
  };
  const versions = { 'onnxruntime-web': oneThread.env.versions.web ?? 'unknown', 'TensorFlow.js': tensorFlowVersion };
  return { versions, ...(await compareSteps(model, who, creators(gpu), sizes, settings)) };
}

async function load({ who }: Extract<PageJob, { what: 'load' }>): Promise<Loaded> {
  await post({ type: 'ready', device: new WasmEngine().device });
  const own = creators(undefined)[who];
  if (!own) {
    throw new Error(`${who} is not loaded alone in this page`);
  }
  return measureLoad(await fetchFiles(), own, who.startsWith('wasm'));
}

try {
  const job = (await (await fetch('/job')).json()) as PageJob;
  await post({ type: 'done', output: job.what === 'steps' ? await steps(job) : await load(job) });
} catch (error) {
  await post(failure(error));
}
