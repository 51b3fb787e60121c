/** One layer trained by Rill's own plan for it; the loss is a mean square. */
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { BufferScope } from '../../src/webgpu/device/context.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { createActivations } from '../../src/training/activations.ts';
import * as kernels from '../../src/training/kernels.generated.ts';
import { planLayer, runBackward, runForward } from '../../src/training/layer.ts';
import { layerPrefix, trainingLayouts } from '../../src/training/layout.ts';
import { ORDINAL_STRIDE, OperationMaker, byRow } from '../../src/training/operations.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { Parameters } from '../../src/training/parameters.ts';
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
    const activations = createActivations(scope, { ...sizes, combined: 0 }, size);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const step = scope.createBuffer('activations', 'step', 16, usage);
    const at = scope.createBuffer('activations', 'at', ORDINAL_STRIDE * frames, usage);
    const goal = scope.createStorage('activations', 'wanted', wanted.byteLength);
    const losses = scope.createStorage('activations', 'losses', 4 * utterances * frames);
    const words = new Uint32Array((ORDINAL_STRIDE / 4) * frames);
    for (let frame = 0; frame < frames; frame++) {
      words.fill(frame, (ORDINAL_STRIDE / 4) * frame, (ORDINAL_STRIDE / 4) * frame + 2);
    }
    device.queue.writeBuffer(at, 0, words);
    device.queue.writeBuffer(step, 0, Uint32Array.of(utterances, frames));
    device.queue.writeBuffer(activations.alpha, 0, Float32Array.of(1));
    device.queue.writeBuffer(goal, 0, wanted);
    const maker = new OperationMaker(context);
    const { out, dOut, layers } = activations;
    const [plan, meanSquare, optimizer] = await Promise.all([
      planLayer({ maker, sizes, parameters, activations, step, at, dropout: 0 }, 0, true),
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
      const pass = encoder.beginComputePass();
      runForward(plan, pass, size, 0);
      meanSquare.run(pass, size);
      if (isStep) {
        runBackward(plan, pass, size, 0);
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
