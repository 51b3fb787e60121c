/** Who can be compared, by the word that names it on the command line. */

/** In the order of the tables; Rill on the CPU in f32 is always among them, since the others are held against it. */
export const NAMES = {
  'rill-f32': 'Rill, CPU, f32',
  'rill-int8': 'Rill, CPU, int8',
  'rill-webgpu': 'Rill, WebGPU',
  'wasm-1': 'onnxruntime-web, WASM, 1 thread',
  'wasm-2': 'onnxruntime-web, WASM, 2 threads',
  'ort-webgpu': 'onnxruntime-web, WebGPU',
  tensorflow: 'TensorFlow.js, WebGPU',
  'ort-node': 'onnxruntime-node, 1 thread',
} as const;

export type Word = keyof typeof NAMES;

export const IN_PAGE = [
  'rill-f32',
  'rill-int8',
  'rill-webgpu',
  'wasm-1',
  'wasm-2',
  'ort-webgpu',
  'tensorflow',
] as const satisfies readonly Word[];
export const IN_NODE = ['rill-f32', 'rill-int8', 'ort-node'] as const satisfies readonly Word[];

export type PageWord = (typeof IN_PAGE)[number];
export type NodeWord = (typeof IN_NODE)[number];

/** Graphs of one stream. */
export const OF_ONE_STREAM: ReadonlySet<Word> = new Set<Word>(['ort-webgpu', 'tensorflow']);

/** Whose time the others' are told as a multiple of. */
export const YARDSTICKS = { page: 'wasm-1', node: 'ort-node' } as const satisfies Record<string, Word>;
