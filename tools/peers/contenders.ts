/** Rill and its peers behind one interface: each runs some streams through the same encoder, chunk by chunk. */
import { writeEncoder } from '../../src/checkpoint/onnx-encoder.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { ENCODER_OUT } from '../../src/encoder/outputs.ts';
import type { Model } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../../src/model/sizes.ts';
import type { StepSize } from './step-size.ts';

export interface Contender {
  /** Features of a chunk of each stream with its left context, (streams, 4n + 5, num_features), to (streams, n, d_model). */
  step(features: Float32Array): Promise<Float32Array>;
  /** The device it runs on, unless that is the CPU. */
  device?: GPUDevice;
  /** Bytes that it says it takes, by part. */
  memory?: ReadonlyMap<string, number>;
  dispose(): Promise<void>;
}

/** Loads what was made ready: from here on the time to the first result counts. */
export type Open = () => Promise<Contender>;

/** Makes ready what a contender reads as a file, for steps of one size. */
export type Create = (model: Model, size: StepSize) => Promise<Open>;

/** Rill on an engine. */
export const rill =
  (engine: Engine, dtype: 'f32' | 'int8', device?: GPUDevice): Create =>
  async (model, { streams, frames }) =>
  async () => {
    const encoder = await engine.createEncoder(model, { maxStreams: streams, maxFrames: frames, dtype });
    const states = Array.from({ length: streams }, () => encoder.createState());
    const { numFeatures, dModel } = encoder.sizes;
    const whole = (SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES) * numFeatures;
    const output = new Float32Array(streams * frames * dModel);
    let isFirst = true;
    return {
      device,
      memory: engine.memory,
      async step(features) {
        // The left context of later chunks is with the states already.
        const skip = isFirst ? 0 : CONTEXT_FRAMES * numFeatures;
        isFirst = false;
        const results = await encoder.step(
          states.map((state, n) => ({ state, features: features.subarray(n * whole + skip, (n + 1) * whole) })),
        );
        results.forEach(({ outputs }, n) => {
          output.set(outputs[ENCODER_OUT], n * frames * dModel);
        });
        return output.slice();
      },
      dispose: async () => encoder.dispose(),
    };
  };

type OnnxRuntime = typeof import('onnxruntime-web/ort.wasm.min.mjs');
type Provider = 'wasm' | 'webgpu' | 'cpu';

/** Names and shapes of the states of an ONNX graph. */
function statesOf({ sizes }: Model, streams: number): Readonly<Record<string, readonly number[]>> {
  const { dModel, rnnHiddenSize, numEncoderLayers: layers } = sizes.encoder;
  if (streams > 1) {
    return { state0: [layers, streams, dModel], state1: [layers, streams, rnnHiddenSize] };
  }
  const shapes: Record<string, readonly number[]> = {};
  for (let l = 0; l < layers; l++) {
    shapes[`h${l}`] = [1, 1, dModel];
    shapes[`c${l}`] = [1, 1, rnnHiddenSize];
  }
  return shapes;
}

/**
 * ONNX Runtime in one of its builds, in one thread of Node's or as many as the page has set. One stream has states of its own
 * for each layer, since a joined one does not fit into the storage buffers of WebGPU's default limit; there states stay on the
 * GPU from step to step. Many streams are one batch, with the states of all layers joined, as icefall's export has them.
 */
export const onnxRuntime =
  (ort: OnnxRuntime, provider: Provider): Create =>
  async (model, { streams, frames }) => {
    const shapes = statesOf(model, streams);
    const names = Object.keys(shapes);
    const next = (name: string) => `${streams > 1 ? 'new' : 'next'}_${name}`;
    const location = provider === 'webgpu' ? 'gpu-buffer' : 'cpu';
    const file = await writeEncoder(model, {
      states: streams > 1 ? 'joined' : 'perLayer',
      withProjection: false,
      dtype: 'f32',
      frames,
    });
    return async () => {
      const session = await ort.InferenceSession.create(file, {
        executionProviders: [provider],
        ...(provider === 'cpu'
          ? { intraOpNumThreads: 1, interOpNumThreads: 1 }
          : { preferredOutputLocation: Object.fromEntries(names.map((name) => [next(name), location])) }),
      });
      let states = Object.fromEntries(
        names.map((name) => {
          const length = shapes[name].reduce((product, n) => product * n, 1);
          return [name, new ort.Tensor('float32', new Float32Array(length), shapes[name])];
        }),
      );
      const disposeStates = () => {
        Object.values(states).forEach((state) => {
          state.dispose();
        });
      };
      const shape = [streams, SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES, model.sizes.encoder.numFeatures];
      return {
        device: provider === 'webgpu' ? await ort.env.webgpu.device : undefined,
        async step(features) {
          const results = await session.run({ x: new ort.Tensor('float32', features, shape), ...states });
          disposeStates();
          states = Object.fromEntries(names.map((name) => [name, results[next(name)]]));
          return results.encoder_out.getData();
        },
        async dispose() {
          disposeStates();
          await session.release();
        },
      };
    };
  };
