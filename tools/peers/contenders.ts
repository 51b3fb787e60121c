/** Rill and its peers behind one interface: each runs one stream through the same encoder, chunk by chunk. */
import { ENCODER_OUT } from '../../src/encoder/outputs.ts';
import { writeEncoder, type EncoderForm } from '../../src/checkpoint/onnx-encoder.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import type { Model } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../../src/model/sizes.ts';

export interface Contender {
  /** Features of one chunk with its left context, (4n + 5, num_features), to (n, d_model). */
  step(features: Float32Array): Promise<Float32Array>;
  /** The device it runs on, unless that is the CPU. */
  device?: GPUDevice;
  dispose(): Promise<void>;
}

/** Makes a contender for chunks of `frames` encoder frames. */
export type Create = (model: Model, frames: number) => Promise<Contender>;

export const rill =
  (gpu: GpuContext): Create =>
  async (model, frames) => {
    const encoder = await WebGpuEncoder.create(gpu, model, {
      maxStreams: 1,
      maxFrames: frames,
      dtype: 'f32',
      rehearse: 'before',
    });
    const state = encoder.createState();
    const contextSize = CONTEXT_FRAMES * encoder.sizes.numFeatures;
    let isFirst = true;
    return {
      device: gpu.device,
      async step(features) {
        // The left context of later chunks is on the GPU already.
        const chunk = isFirst ? features : features.subarray(contextSize);
        isFirst = false;
        const [{ outputs }] = await encoder.step([{ state, features: chunk }]);
        return outputs[ENCODER_OUT];
      },
      dispose: async () => encoder.dispose(),
    };
  };

/** States of their own for each layer fit into the storage buffers of WebGPU's default limit. */
const ENCODER_FORM: Omit<EncoderForm, 'frames'> = { states: 'perLayer', withProjection: false, dtype: 'f32' };

/** onnxruntime-web in one of its builds; with WebGPU, states stay on the GPU from step to step. */
export const onnxRuntime =
  (ort: typeof import('onnxruntime-web/ort.wasm.min.mjs'), provider: 'wasm' | 'webgpu'): Create =>
  async (model, frames) => {
    const { numFeatures, dModel, rnnHiddenSize, numEncoderLayers } = model.sizes.encoder;
    const layers = Array.from({ length: numEncoderLayers }, (_, l) => l);
    const widths = Object.fromEntries(
      layers.flatMap((l) => [
        [`h${l}`, dModel],
        [`c${l}`, rnnHiddenSize],
      ]),
    );
    const names = Object.keys(widths);
    const location = provider === 'webgpu' ? 'gpu-buffer' : 'cpu';
    const session = await ort.InferenceSession.create(await writeEncoder(model, { ...ENCODER_FORM, frames }), {
      executionProviders: [provider],
      preferredOutputLocation: Object.fromEntries(names.map((name) => [`next_${name}`, location])),
    });
    let states = Object.fromEntries(
      names.map((name) => [name, new ort.Tensor('float32', new Float32Array(widths[name]), [1, 1, widths[name]])]),
    );
    const disposeStates = () => {
      Object.values(states).forEach((state) => {
        state.dispose();
      });
    };
    const shape = [1, SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES, numFeatures];
    return {
      device: provider === 'webgpu' ? await ort.env.webgpu.device : undefined,
      async step(features) {
        const results = await session.run({ x: new ort.Tensor('float32', features, shape), ...states });
        disposeStates();
        states = Object.fromEntries(names.map((name) => [name, results[`next_${name}`]]));
        return results.encoder_out.getData();
      },
      async dispose() {
        disposeStates();
        await session.release();
      },
    };
  };
