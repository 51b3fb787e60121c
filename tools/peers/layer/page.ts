/** Runs in the headless browser's page: one layer, trained by all in turns. */
import { version_core as tensorFlowVersion } from '@tensorflow/tfjs-core';
import { GpuContext } from '../../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../../src/webgpu/engine.ts';
import { failure, type PageMessage } from '../../runtime/page-message.ts';
import { layerProblem } from '../../training-speed/layer-problem.ts';
import { rillLayer } from '../../training-speed/layer-rill.ts';
import { jaxLayer } from './jax.ts';
import { tensorFlowLayer } from './tensorflow.ts';
import type { LayerOutcome } from './report.ts';
import { compareLayers, type LayerCompetitor } from './turns.ts';

/** Who trains the layer, by the word that names it on the command line. */
export const LAYER_PEERS = ['tensorflow', 'jax'] as const;
export type LayerPeer = (typeof LAYER_PEERS)[number];

export interface LayerJob {
  who: LayerPeer[];
  rounds: number;
}

/** Given to the page by the command. */
declare const post: (message: PageMessage) => Promise<void>;

const PEERS: Readonly<Record<LayerPeer, LayerCompetitor>> = {
  tensorflow: { name: 'TensorFlow.js, WebGPU', open: tensorFlowLayer },
  jax: { name: 'jax-js, WebGPU', open: jaxLayer },
};

async function compare({ who, rounds }: LayerJob): Promise<LayerOutcome> {
  const gpu = await GpuContext.create();
  await post({ type: 'ready', device: new WebGpuEngine(gpu).device });
  const rill = { name: 'Rill, WebGPU', open: rillLayer(gpu), asksByItself: true };
  const figures = await compareLayers(layerProblem(), [rill, ...who.map((word) => PEERS[word])], {
    rounds,
    reportsLate: await gpu.reportsLate(),
    onProgress: (done, total) => post({ type: 'event', event: { type: 'progress', done, total } }),
  });
  return { versions: { 'TensorFlow.js': tensorFlowVersion }, figures };
}

try {
  const job = (await (await fetch('/job')).json()) as LayerJob;
  await post({ type: 'done', output: await compare(job) });
} catch (error) {
  await post(failure(error));
}
