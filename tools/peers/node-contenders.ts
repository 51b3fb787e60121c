import ort from 'onnxruntime-node';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { onnxRuntime, rill, type Create } from './contenders.ts';
import type { NodeWord } from './lineup.ts';

/** How each is made in Node. */
export const nodeCreators = (): Readonly<Record<NodeWord, Create>> => {
  const engine = new WasmEngine();
  return { 'rill-f32': rill(engine, 'f32'), 'rill-int8': rill(engine, 'int8'), 'ort-node': onnxRuntime(ort, 'cpu') };
};

export const onnxRuntimeVersion = () => ort.env.versions.node ?? 'unknown';
