/** Rill's entry for Node, `rill-asr/node`, beside the public one. */
export { openGpu, openNodeEngine, type AdapterChoice, type NodeEngineOptions, type OpenGpuOptions } from './gpu.ts';
export { openModelFolder } from './files.ts';
