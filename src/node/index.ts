/** Rill's entry for Node, `rill/node`, beside the public one. */
export { openGpu, type AdapterChoice, type OpenGpuOptions } from './gpu.ts';
export { openModelFolder } from './files.ts';
