/** As much of the peers' packages as is used here, so that types check where they are not installed. */

declare module 'onnxruntime-web/ort.wasm.min.mjs' {
  export class Tensor {
    constructor(type: 'float32', data: Float32Array, dims: readonly number[]);
    getData(): Promise<Float32Array<ArrayBuffer>>;
    dispose(): void;
  }

  export class InferenceSession {
    static create(
      model: Uint8Array,
      options: {
        executionProviders: readonly ('wasm' | 'webgpu' | 'cpu')[];
        intraOpNumThreads?: number;
        interOpNumThreads?: number;
        preferredOutputLocation?: Readonly<Record<string, 'cpu' | 'gpu-buffer'>>;
      },
    ): Promise<InferenceSession>;
    run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
    release(): Promise<void>;
  }

  export const env: {
    versions: { web?: string; node?: string };
    wasm: { numThreads?: number };
    webgpu: { powerPreference?: GPUPowerPreference; readonly device: Promise<GPUDevice> };
  };
}

/** Another copy of it, with a number of threads of its own. */
declare module 'onnxruntime-web/ort.wasm.min.mjs?one-thread' {
  export * from 'onnxruntime-web/ort.wasm.min.mjs';
}

declare module 'onnxruntime-web/ort.webgpu.min.mjs' {
  export * from 'onnxruntime-web/ort.wasm.min.mjs';
}

/** sherpa-onnx in WebAssembly; it reads files by their paths in Node. */
declare module 'sherpa-onnx' {
  export interface WasmStream {
    acceptWaveform(sampleRate: number, samples: Float32Array): void;
    inputFinished(): void;
    free(): void;
  }

  export interface WasmRecognizer {
    createStream(): WasmStream;
    isReady(stream: WasmStream): boolean;
    decode(stream: WasmStream): void;
    getResult(stream: WasmStream): { text: string };
    free(): void;
  }

  const sherpa: { createOnlineRecognizer(config: object): WasmRecognizer };
  export default sherpa;
}

declare module 'onnxruntime-node' {
  const ort: typeof import('onnxruntime-web/ort.wasm.min.mjs');
  export default ort;
}

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    data(): Promise<Float32Array<ArrayBuffer>>;
    dispose(): void;
  }
  type Unary = (x: Tensor) => Tensor;
  type Binary = (a: Tensor, b: Tensor | number) => Tensor;

  export const version_core: string;
  export function setBackend(name: string): Promise<boolean>;
  export function backend(): { device: GPUDevice };
  export function tidy<Result>(compute: () => Result): Result;
  export function dispose(tensors: unknown): void;
  export function tensor(values: Float32Array, shape: readonly number[]): Tensor;
  export function zeros(shape: readonly number[]): Tensor;
  export function scalar(value: number): Tensor;
  export function reshape(x: Tensor, shape: readonly number[]): Tensor;
  export function transpose(x: Tensor, axes?: readonly number[]): Tensor;
  export function concat(tensors: readonly Tensor[], axis?: number): Tensor;
  export function split(x: Tensor, parts: number, axis?: number): Tensor[];
  export function stack(tensors: readonly Tensor[]): Tensor;
  export function unstack(x: Tensor): Tensor[];
  export function gather(x: Tensor, indices: readonly number[], axis?: number): Tensor;
  export function mean(x: Tensor, axis?: number, keepDims?: boolean): Tensor;
  export function variable(value: Tensor, trainable: boolean): Tensor;
  export function disposeVariables(): void;
  export const train: {
    adam(
      learningRate: number,
      beta1: number,
      beta2: number,
      epsilon: number,
    ): { minimize(loss: () => Tensor, returnCost: true): Tensor };
  };
  export function matMul(a: Tensor, b: Tensor): Tensor;
  export function basicLSTMCell(
    forgetBias: Tensor,
    kernel: Tensor,
    bias: Tensor,
    data: Tensor,
    c: Tensor,
    h: Tensor,
  ): [c: Tensor, h: Tensor];
  export const add: Binary;
  export const sub: Binary;
  export const mul: Binary;
  export const sigmoid: Unary;
  export const tanh: Unary;
  export const exp: Unary;
  export const square: Unary;
  export const rsqrt: Unary;
  export const fused: {
    conv2d(options: { x: Tensor; filter: Tensor; strides: number; pad: 'valid'; bias: Tensor }): Tensor;
    matMul(options: { a: Tensor; b: Tensor; bias: Tensor }): Tensor;
  };
}

declare module '@tensorflow/tfjs-backend-webgpu';

declare module '@tensorflow/tfjs-core/dist/register_all_gradients';

declare module '@jax-js/jax' {
  /** Used up by what reads it, unless it is referred to once more. */
  export interface Array {
    readonly ref: Array;
    readonly shape: number[];
    add(other: Array | number): Array;
    sub(other: Array | number): Array;
    mul(other: Array | number): Array;
    div(other: Array | number): Array;
    reshape(shape: number[]): Array;
    transpose(): Array;
    data(): Promise<Float32Array<ArrayBuffer>>;
    dispose(): void;
  }

  export function init(device: 'webgpu'): Promise<string[]>;
  export function defaultDevice(device: 'webgpu'): string;
  export function getWebGPUDevice(): GPUDevice;
  export function blockUntilReady(arrays: unknown): Promise<unknown>;
  export function jit<Arguments extends unknown[], Result>(
    compute: (...args: Arguments) => Result,
  ): (...args: Arguments) => Result;
  export function valueAndGrad<Wanted, Others extends unknown[]>(
    compute: (wanted: Wanted, ...others: Others) => Array,
  ): (wanted: Wanted, ...others: Others) => [Array, Wanted];
  export const nn: { sigmoid(x: Array): Array };
  export const tree: {
    ref<Tree>(tree: Tree): Tree;
    dispose(tree: unknown): void;
    leaves(tree: unknown): Array[];
    map<Tree>(compute: (...leaves: Array[]) => Array, tree: Tree, ...others: Tree[]): Tree;
  };
  export const numpy: {
    array(values: Float32Array | number[] | Array): Array;
    zeros(shape: number[]): Array;
    expandDims(x: Array, axis: number): Array;
    unstack(x: Array): Array[];
    split(x: Array, parts: number, axis: number): Array[];
    concatenate(arrays: Array[], axis: number): Array;
    matmul(a: Array, b: Array): Array;
    subtract(a: number, b: Array): Array;
    power(x: Array, exponent: number): Array;
    mean(x: Array, axis?: number, options?: { keepdims: boolean }): Array;
    square(x: Array): Array;
    sqrt(x: Array): Array;
    exp(x: Array): Array;
    tanh(x: Array): Array;
  };
}
