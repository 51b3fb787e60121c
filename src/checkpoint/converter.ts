/** All that reads or writes checkpoints: one chunk of a page's build, loaded by on-demand.ts. */
export { convertCheckpoint } from './convert.ts';
export { exportSherpaOnnx } from './export-onnx.ts';
