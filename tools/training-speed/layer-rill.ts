/** One layer trained by Rill's own plan for it; the loss is a mean square. */
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { BufferScope } from '../../src/webgpu/device/context.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { createActivations } from '../../src/training/activations.ts';
import * as kernels from '../../src/training/kernels.generated.ts';
import { planBackward, planForward, runBackward, runForward } from '../../src/training/layer.ts';
import { layerPrefix, trainingLayouts } from '../../src/training/layout.ts';
import { OperationMaker, byRow, createOrdinals, createUniform } from '../../src/training/operations.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { Parameters } from '../../src/training/parameters.ts';
import { Shaping } from '../../src/training/shaping.ts';
import { ADAM, type LayerContender, type OpenLayer } from './layer-problem.ts';

const OWN = `${layerPrefix(0)}.`;
const TRAINED = ['lstm.weight', 'lstm.bias_ih', 'feed_forward.'].map((name) => OWN + name);

const bytesOf = ({ memory }: GpuContext) => [...memory.values()].reduce((sum, bytes) => sum + bytes, 0);

/** @param context that all contenders of the layer may use */
export const rillLayer =
  (context: GpuContext): OpenLayer =>
  async ({ model, utterances, frames, x, wanted }): Promise<LayerContender> => {
    const before = bytesOf(context);
    const { device } = context;
    const { encoder: sizes } = model.sizes;
    const size = { utterances, frames };
    const layouts = [...trainingLayouts(model.sizes, 'ctc')].filter(([name]) => name.startsWith(OWN));
    const scope = new BufferScope(context);
    const parameters = await Parameters.load(context, model.weights, new Map(layouts), TRAINED);
    const storage = (label: string, floats: number) => scope.createStorage('activations', label, 4 * floats);
    const keeping = { from: 0, lowest: 0, recompute: false, hasDropout: false, combined: 0 };
    const activations = createActivations(storage, sizes, size, keeping);
    const step = createUniform(scope, 'activations', 'step', 16);
    const at = createOrdinals(scope, 'activations', frames);
    const goal = storage('wanted', wanted.length);
    const losses = storage('losses', utterances * frames);
    device.queue.writeBuffer(step, 0, Uint32Array.of(utterances, frames));
    device.queue.writeBuffer(activations.alpha, 0, Float32Array.of(1));
    device.queue.writeBuffer(goal, 0, wanted);
    const maker = new OperationMaker(scope);
    const { out, dOut, layers } = activations;
    const parts = { maker, sizes, parameters, activations, step, at, dropout: 0, precision: 'f32' as const };
    const [forward, backward, meanSquare, optimizer] = await Promise.all([
      planForward(parts, 0),
      planBackward({ ...parts, shaping: new Shaping(scope, sizes, size) }, 0, true),
      maker.make(kernels.meanSquare, { width: sizes.dModel }, { y: out, wanted: goal, dy: dOut, losses, step }, byRow),
      Optimizer.create(context, parameters, { ...ADAM, maxGradNorm: Infinity }),
    ]);
    const run = async (isStep: boolean) => {
      device.queue.writeBuffer(layers[0].x, 0, x);
      const encoder = device.createCommandEncoder();
      if (isStep) {
        for (const { gradient } of parameters.trained) {
          encoder.clearBuffer(gradient);
        }
      }
      parameters.copyToTextures(encoder);
      const pass = encoder.beginComputePass();
      runForward(forward, pass, size, 0);
      meanSquare.run(pass, size);
      if (isStep) {
        runBackward(backward, pass, size, 0);
      }
      pass.end();
      if (isStep) {
        optimizer.step(encoder, ADAM.learningRate);
      }
      device.queue.submit([encoder.finish()]);
      const rows = await readBuffers(context, [{ buffer: losses, bytes: 4 * utterances * frames }]);
      return rows.reduce((sum, loss) => sum + loss, 0);
    };
    return {
      forward: () => run(false),
      step: () => run(true),
      device,
      bytes: bytesOf(context) - before,
      dispose() {
        optimizer.dispose();
        parameters.dispose();
        scope.dispose();
      },
    };
  };
