import { elementCount } from '../model/tensors.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import { readBuffers, type Pending } from '../webgpu/device/readback.ts';
import * as kernels from './kernels.generated.ts';
import { pack } from './layout.ts';
import { OperationMaker, byThread, createOrdinals, createUniform, runAll, type Operation } from './operations.ts';
import { OPTIMIZERS, stepOptions, type OptimizerOptions, type StepOptions } from './optimizer-options.ts';
import type { Parameters, TrainedParameter } from './parameters.ts';
import { STATE_WORDS, checkState, heldTensors, readSaved, stateWords, type SavedOptimizer } from './saved-optimizer.ts';

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
const SUM_BYTES = 16;
/** Words of optimizer_parameters.wgsl's Parameter and Scale, of optimizer_totals.wgsl's Total, of optimizer_state.wgsl's Rates. */
const PARAMETER_WORDS = 6;
const SCALE_WORDS = 3;
const TOTAL_WORDS = 5;
const RATES_WORDS = 12;
/** Largest number of float32: a norm that nothing is clipped to. */
const LARGEST = 3.4028234e38;
const THREADS = 32;

/** A step of parameters has no rows. */
const NO_BATCH = { utterances: 0, frames: 0 };

/** A parameter with what the optimizer keeps of it. */
interface Stepped {
  parameter: TrainedParameter;
  first: GPUBuffer;
  second: GPUBuffer;
  /** Of its weights. */
  average?: GPUBuffer;
  isScaled: boolean;
}

/** Where a parameter's sums lie among those of all. */
interface Place {
  offset: number;
  size: number;
}

/** An optimizer on the GPU: the norm of all gradients, then a step of each parameter. */
export class Optimizer {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #parameters: Parameters;
  readonly #options: StepOptions;
  readonly #stepped: readonly Stepped[];
  readonly #state: GPUBuffer;
  /** (parameters) of log-scale and its moments; zeros without a scale. */
  readonly #scales: GPUBuffer;
  readonly #rates: GPUBuffer;
  /** The norm of all gradients, what it decides, and the steps of the scales. */
  #before: readonly Operation[] = [];
  /** Of each parameter, by its ordinal. */
  #steps: readonly Operation[] = [];

  private constructor(context: GpuContext, parameters: Parameters, options: OptimizerOptions) {
    this.#options = stepOptions(options);
    this.#context = context;
    this.#parameters = parameters;
    const scope = (this.#scope = new BufferScope(context));
    const { scales, average } = options;
    this.#stepped = parameters.trained.map((parameter) => {
      const { name, layout } = parameter;
      const storage = (label: string) => scope.createStorage('gradients', `${label} of ${name}`, 4 * layout.length);
      return {
        ...{ parameter, first: storage('first moment'), second: storage('second moment') },
        ...(average && { average: storage('average') }),
        isScaled: scales?.has(name) ?? false,
      };
    });
    const { queue } = context.device;
    this.#state = scope.createStorage('gradients', 'optimizer state', 4 * STATE_WORDS);
    this.#scales = scope.createStorage('gradients', 'scales', 4 * SCALE_WORDS * this.#stepped.length);
    const ofScales = this.#stepped.flatMap(({ parameter }) => [scales?.get(parameter.name) ?? 0, 0, 0]);
    queue.writeBuffer(this.#scales, 0, Float32Array.from(ofScales));
    this.#rates = createUniform(scope, 'gradients', 'rates', 4 * RATES_WORDS);
    this.#beginAverages();
  }

  /** @throws RillError `bad-argument` for options out of range, `shader`. */
  static async create(context: GpuContext, parameters: Parameters, options: OptimizerOptions = {}): Promise<Optimizer> {
    const optimizer = new Optimizer(context, parameters, options);
    try {
      await optimizer.#compile(options.relativeRate);
      return optimizer;
    } catch (error) {
      optimizer.dispose();
      throw error;
    }
  }

  /** Averages start from the weights as they are. */
  #beginAverages(): void {
    const encoder = this.#context.device.createCommandEncoder();
    for (const { parameter, average } of this.#stepped) {
      if (average) {
        encoder.copyBufferToBuffer(parameter.value, 0, average, 0, 4 * parameter.layout.length);
      }
    }
    this.#context.device.queue.submit([encoder.finish()]);
  }

  async #compile(relativeRate: (name: string) => number = () => 1): Promise<void> {
    const scope = this.#scope;
    const maker = new OperationMaker(scope);
    const stepped = this.#stepped;
    const count = stepped.length;
    const groupsOf = ({ layout }: TrainedParameter) => Math.ceil(layout.length / 4 / GROUP_VEC4S);
    let bytes = 0;
    const places = stepped.map(({ parameter }): Place => {
      const size = SUM_BYTES * groupsOf(parameter);
      const offset = bytes;
      bytes += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
      return { offset, size };
    });
    const sums = scope.createStorage('gradients', 'sums of squares', bytes);
    const totals = scope.createStorage('gradients', 'totals', 4 * TOTAL_WORDS * count);
    const parameters = this.#createTable(places, relativeRate);
    const at = createOrdinals(scope, 'gradients', count);
    const [state, rates, scales] = [this.#state, this.#rates, this.#scales];
    const kind = OPTIMIZERS.indexOf(this.#options.optimizer);
    const byParameter = () => [count, 1, 1] as const;
    const before = [
      ...stepped.map(({ parameter: { value, gradient }, parameter }, i) =>
        maker.make(kernels.squares, {}, { value, gradient, sums: { buffer: sums, ...places[i] } }, () => [
          groupsOf(parameter),
          1,
          1,
        ]),
      ),
      maker.make(kernels.totals, {}, { sums, parameters, scales, totals }, byParameter),
      maker.make(kernels.beginStep, {}, { totals, state, rates }, () => [1, 1, 1]),
    ];
    if (stepped.some(({ isScaled }) => isScaled)) {
      const resources = { totals, parameters, scales, state, rates };
      before.push(maker.make(kernels.scaleStep, { kind }, resources, () => [Math.ceil(count / THREADS), 1, 1]));
    }
    const steps = stepped.map(({ parameter, first, second, average, isScaled }) => {
      const { gradient, value, layout } = parameter;
      const moments = { first_moment: first, second_moment: second };
      const resources = { gradient, value, ...moments, totals, parameters, state, rates, at };
      const overrides = { kind, is_scaled: isScaled ? 1 : 0 };
      const workgroups = () => byThread(layout.length / 4);
      return average
        ? maker.make(kernels.adamAveraged, overrides, { ...resources, average }, workgroups)
        : maker.make(kernels.adam, overrides, resources, workgroups);
    });
    [this.#before, this.#steps] = await Promise.all([Promise.all(before), Promise.all(steps)]);
  }

  /** What does not change of each parameter. */
  #createTable(places: readonly Place[], relativeRate: (name: string) => number): GPUBuffer {
    const words = this.#stepped.length * PARAMETER_WORDS;
    const table = new Uint32Array(words);
    const floats = new Float32Array(table.buffer);
    this.#stepped.forEach(({ parameter: { name, shape }, isScaled }, i) => {
      const at = i * PARAMETER_WORDS;
      const { offset, size } = places[i];
      table.set([elementCount(shape), 0, 0, isScaled ? 1 : 0, offset / SUM_BYTES, size / SUM_BYTES], at);
      floats.set([relativeRate(name), isScaled ? relativeRate(`scale.${name}`) : 0], at + 1);
    });
    const buffer = this.#scope.createStorage('gradients', 'parameters', 4 * words);
    this.#context.device.queue.writeBuffer(buffer, 0, table);
    return buffer;
  }

  /**
   * Takes a step by the gradients that are there, in a command encoder.
   *
   * @param lossScale that the loss, and so the gradients, were multiplied by
   */
  step(encoder: GPUCommandEncoder, learningRate: number, lossScale = 1): void {
    const { betas, eps, weightDecay, maxGradNorm, averagePeriod, averageDecay } = this.#options;
    const rates = new Float32Array(RATES_WORDS);
    rates.set([learningRate, ...betas, eps, weightDecay, Math.min(maxGradNorm, LARGEST), lossScale, 0, averageDecay]);
    new Uint32Array(rates.buffer)[7] = averagePeriod;
    this.#context.device.queue.writeBuffer(this.#rates, 0, rates);
    const pass = encoder.beginComputePass();
    runAll(this.#before, pass, NO_BATCH);
    this.#steps.forEach((each, ordinal) => {
      each.run(pass, NO_BATCH, ordinal);
    });
    pass.end();
  }

  /** What the last step was. @throws RillError `device-lost`, `gpu`. */
  async readState(): Promise<StepState> {
    const { part, of } = this.pendingState();
    return of(await readBuffers(this.#context, [part]));
  }

  /** Where what the last step was lies, to be read together with its losses. */
  pendingState(): Pending<StepState> {
    return {
      part: { buffer: this.#state, bytes: 4 * STATE_WORDS },
      of(floats) {
        const words = new Uint32Array(floats.buffer, floats.byteOffset, STATE_WORDS);
        return { gradNorm: floats[1], taken: words[4], skipped: words[5], isSkipped: words[6] > 0 };
      },
    };
  }

  /** The weights' averages as they are now, by name, in C order; of what is not averaged the weights. */
  averages(): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const averages = new Map(this.#stepped.map(({ parameter, average }) => [parameter.name, average]));
    return this.#parameters.read(this.#parameters.all, ({ name, value }) => averages.get(name) ?? value);
  }

  /**
   * All that it remembers, as it is now: with the weights, what a training goes on from to the byte.
   *
   * @throws RillError `device-lost`, `gpu`.
   */
  async save(): Promise<SavedOptimizer> {
    const held = new Map<string, { shape: readonly number[]; values: Float32Array<ArrayBuffer> }>();
    const hold = async (label: string, bufferOf: (of: Stepped) => GPUBuffer) => {
      const buffers = new Map(this.#stepped.map((each) => [each.parameter, bufferOf(each)]));
      const trained = [...buffers.keys()];
      const read = await this.#parameters.read(trained, (parameter) => buffers.get(parameter) ?? parameter.value);
      for (const { name, shape } of trained) {
        held.set(`${label}.${name}`, { shape, values: read.get(name) ?? new Float32Array(0) });
      }
    };
    await hold('exp_avg', ({ first }) => first);
    await hold('exp_avg_sq', ({ second }) => second);
    if (this.#options.averagePeriod > 0) {
      await hold('model_avg', ({ parameter, average }) => average ?? parameter.value);
    }
    const scaleBytes = 4 * SCALE_WORDS * this.#stepped.length;
    const parts = [
      { buffer: this.#state, bytes: 4 * STATE_WORDS },
      { buffer: this.#scales, bytes: scaleBytes },
    ];
    const read = await readBuffers(this.#context, parts);
    this.#stepped.forEach(({ parameter: { name }, isScaled }, i) => {
      const at = STATE_WORDS + SCALE_WORDS * i;
      scaleNames(name).forEach((key, k) => {
        if (isScaled) {
          held.set(key, { shape: [], values: read.slice(at + k, at + k + 1) });
        }
      });
    });
    const words = [...new Uint32Array(read.buffer, 0, STATE_WORDS)];
    return { tensors: heldTensors(held), taken: words[4], words };
  }

  /**
   * Goes on from what was saved. The weights are to be those of that time, and the options the same.
   *
   * @throws RillError `bad-argument` for what was saved of other parameters; nothing is changed then.
   */
  async load(saved: SavedOptimizer): Promise<void> {
    checkState(saved);
    const { queue } = this.#context.device;
    const writes: (() => void)[] = [];
    const scales = new Float32Array(SCALE_WORDS * this.#stepped.length);
    for (const [i, { parameter, first, second, average, isScaled }] of this.#stepped.entries()) {
      const { name, shape, layout } = parameter;
      const take = async (label: string, buffer: GPUBuffer) => {
        const values = await readSaved(saved, `${label}.${name}`, shape);
        writes.push(() => {
          queue.writeBuffer(buffer, 0, pack(layout, values));
        });
      };
      await take('exp_avg', first);
      await take('exp_avg_sq', second);
      if (average) {
        await take('model_avg', average);
      }
      if (isScaled) {
        for (const [k, key] of scaleNames(name).entries()) {
          scales.set(await readSaved(saved, key, []), SCALE_WORDS * i + k);
        }
      }
    }
    writes.forEach((write) => {
      write();
    });
    queue.writeBuffer(this.#scales, 0, scales);
    queue.writeBuffer(this.#state, 0, stateWords(saved, this.#options.betas));
  }

  /** Frees its memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}

/** What a log-scale and its moments are saved as, in the order of optimizer_parameters.wgsl's Scale. */
const scaleNames = (name: string) => [`scale.${name}`, `exp_avg.scale.${name}`, `exp_avg_sq.scale.${name}`];
