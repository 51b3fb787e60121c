import { RillError } from '../errors.ts';
import { elementCount } from '../model/tensors.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers } from '../webgpu/device/readback.ts';
import * as kernels from './kernels.generated.ts';
import { OperationMaker, byThread, createOrdinals, createUniform, runAll, type Operation } from './operations.ts';
import type { Parameters, TrainedParameter } from './parameters.ts';

/** Optimizers, in the order of adam.wgsl's `kind`. */
const KINDS = ['adam', 'adamw', 'eve'] as const;
export type OptimizerName = (typeof KINDS)[number];

/** How parameters follow their gradients; what is left out is the optimizer's default. */
export interface OptimizerOptions {
  /** `adam` by default. `adamw` is PyTorch's, `eve` icefall's (optim.py). */
  optimizer?: OptimizerName;
  /** Decay of the mean of gradients, and of their squares; 0.9 and 0.98 by default. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-9 by default, of `eve` 1e-8. */
  eps?: number;
  /** 0 by default, of `eve` 1e-3. */
  weightDecay?: number;
  /** Norm that all gradients together are clipped to; 5 by default, Infinity for none. */
  maxGradNorm?: number;
  /** What a parameter's learning rate is multiplied by, by its name; 1 by default. */
  relativeRate?: (name: string) => number;
}

/** What a step was. */
export interface StepState {
  /** Of all gradients, before clipping. */
  gradNorm: number;
  /** Whether its gradients were not finite, so that nothing has changed. */
  isSkipped: boolean;
  /** Steps that were taken so far, and those that were skipped. */
  taken: number;
  skipped: number;
}

/** vec4s that a workgroup of squares.wgsl sums. */
const GROUP_VEC4S = 1024;
/** Bindings start at multiples of this, by WebGPU's default limits. */
const ALIGNMENT = 256;
const SUM_BYTES = 8;
/** Of adam.wgsl's Parameter. */
const PARAMETER_BYTES = 8;
/** The words of optimizer_state.wgsl's State and Rates. */
const STATE_WORDS = 8;
const RATES_WORDS = 8;
/** Largest number of float32: a norm that nothing is clipped to. */
const LARGEST = 3.4028234e38;

/** A step of parameters has no rows. */
const NO_BATCH = { utterances: 0, frames: 0 };

/** A parameter's moments. */
export interface Moments {
  parameter: TrainedParameter;
  first: GPUBuffer;
  second: GPUBuffer;
}

/** An optimizer on the GPU: the norm of all gradients, then a step of each parameter. */
export class Optimizer {
  readonly moments: readonly Moments[];
  readonly state: GPUBuffer;
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #options: Required<Omit<OptimizerOptions, 'relativeRate'>>;
  readonly #rates: GPUBuffer;
  /** The norm of all gradients, and what it decides. */
  #norm: readonly Operation[] = [];
  /** Of each parameter, by its ordinal. */
  #steps: readonly Operation[] = [];

  private constructor(context: GpuContext, parameters: Parameters, options: OptimizerOptions) {
    this.#context = context;
    const { optimizer = 'adam', betas = [0.9, 0.98], maxGradNorm = 5 } = options;
    const isEve = optimizer === 'eve';
    const { eps = isEve ? 1e-8 : 1e-9, weightDecay = isEve ? 1e-3 : 0 } = options;
    this.#options = { optimizer, betas, eps, weightDecay, maxGradNorm };
    const scope = (this.#scope = new BufferScope(context));
    this.moments = parameters.trained.map((parameter) => ({
      parameter,
      first: scope.createStorage('gradients', `first moment of ${parameter.name}`, 4 * parameter.layout.length),
      second: scope.createStorage('gradients', `second moment of ${parameter.name}`, 4 * parameter.layout.length),
    }));
    this.state = scope.createStorage('gradients', 'optimizer state', 4 * STATE_WORDS);
    this.#rates = createUniform(scope, 'gradients', 'rates', 4 * RATES_WORDS);
  }

  /** @throws RillError `bad-argument` for options out of range, `shader`. */
  static async create(context: GpuContext, parameters: Parameters, options: OptimizerOptions = {}): Promise<Optimizer> {
    const optimizer = new Optimizer(context, parameters, options);
    try {
      optimizer.#check();
      await optimizer.#compile(options.relativeRate);
      return optimizer;
    } catch (error) {
      optimizer.dispose();
      throw error;
    }
  }

  async #compile(relativeRate: (name: string) => number = () => 1): Promise<void> {
    const { queue } = this.#context.device;
    const maker = new OperationMaker(this.#context);
    const scope = this.#scope;
    const count = this.moments.length;
    const at = createOrdinals(scope, 'gradients', count);
    const table = new DataView(new ArrayBuffer(PARAMETER_BYTES * count));
    this.moments.forEach(({ parameter: { name, shape } }, i) => {
      table.setUint32(PARAMETER_BYTES * i, elementCount(shape), true);
      table.setFloat32(PARAMETER_BYTES * i + 4, relativeRate(name), true);
    });
    const parameters = scope.createStorage('gradients', 'parameters', table.byteLength);
    queue.writeBuffer(parameters, 0, table.buffer);

    const groupsOf = ({ layout }: TrainedParameter) => Math.ceil(layout.length / 4 / GROUP_VEC4S);
    let bytes = 0;
    const places = this.moments.map(({ parameter }) => {
      const size = SUM_BYTES * groupsOf(parameter);
      const offset = bytes;
      bytes += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
      return { offset, size };
    });
    const sums = scope.createStorage('gradients', 'sums of squares', bytes);
    const { state } = this;
    const rates = this.#rates;
    const squares = this.moments.map(({ parameter }, i) =>
      maker.make(
        kernels.squares,
        {},
        { value: parameter.value, gradient: parameter.gradient, sums: { buffer: sums, ...places[i] } },
        () => [groupsOf(parameter), 1, 1],
      ),
    );
    const begin = maker.make(kernels.beginStep, { count: bytes / SUM_BYTES }, { sums, state, rates }, () => [1, 1, 1]);
    const steps = this.moments.map(({ parameter, first, second }, i) =>
      maker.make(
        kernels.adam,
        { kind: KINDS.indexOf(this.#options.optimizer) },
        {
          ...{ gradient: parameter.gradient, value: parameter.value, first_moment: first, second_moment: second },
          ...{ sums: { buffer: sums, ...places[i] }, parameters, state, rates, at },
        },
        () => byThread(parameter.layout.length / 4),
      ),
    );
    this.#norm = [...(await Promise.all(squares)), await begin];
    this.#steps = await Promise.all(steps);
  }

  /**
   * Takes a step by the gradients that are there, in a command encoder.
   *
   * @param lossScale that the loss, and so the gradients, were multiplied by
   */
  step(encoder: GPUCommandEncoder, learningRate: number, lossScale = 1): void {
    const { betas, eps, weightDecay, maxGradNorm } = this.#options;
    const rates = [learningRate, ...betas, eps, weightDecay, Math.min(maxGradNorm, LARGEST), lossScale, 0];
    this.#context.device.queue.writeBuffer(this.#rates, 0, Float32Array.from(rates));
    const pass = encoder.beginComputePass();
    runAll(this.#norm, pass, NO_BATCH);
    this.#steps.forEach((each, ordinal) => {
      each.run(pass, NO_BATCH, ordinal);
    });
    pass.end();
  }

  /** What the last step was. @throws RillError `device-lost`, `gpu`. */
  async readState(): Promise<StepState> {
    const floats = await readBuffers(this.#context, [{ buffer: this.state, bytes: 4 * STATE_WORDS }]);
    const words = new Uint32Array(floats.buffer);
    return { gradNorm: floats[1], taken: words[4], skipped: words[5], isSkipped: words[6] > 0 };
  }

  #check(): void {
    const { optimizer, betas, eps, weightDecay, maxGradNorm } = this.#options;
    const isFine =
      KINDS.includes(optimizer) &&
      betas.every((beta) => beta >= 0 && beta < 1) &&
      eps >= 0 &&
      weightDecay >= 0 &&
      maxGradNorm > 0;
    if (!isFine) {
      throw new RillError('bad-argument', {
        got: JSON.stringify(this.#options),
        expected: `optimizer ${KINDS.join(', ')}; betas from 0 to less than 1; eps and weightDecay not below 0; maxGradNorm above 0`,
        remedy: 'Leave an option out for its default.',
      });
    }
  }

  /** Frees its memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}
