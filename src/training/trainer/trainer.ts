import { engineFor, type OpenedEngine } from '../../engine.ts';
import { gpuOf } from '../../gpu-of.ts';
import { RillError } from '../../errors.ts';
import { openModel, type Model, type ModelFiles } from '../../model/model.ts';
import { encoderFrames } from '../../model/sizes.ts';
import { elementCount } from '../../model/tensors.ts';
import { writeModel } from '../../model/write.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import type { TrainingBatch } from '../batch.ts';
import { trainingLayouts } from '../layout.ts';
import type { Head } from '../losses/targets.ts';
import type { Capacity } from '../operations.ts';
import { Optimizer } from '../optimizer.ts';
import { Parameters } from '../parameters.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { takeStep } from '../step.ts';
import { MOST_UTTERANCES, largestBatch } from './batch-size.ts';
import { capacityOf, widened } from './batches.ts';
import {
  readCheckpoint,
  writeCheckpoint,
  type CheckpointFiles,
  type LogEntry,
  type TrainerState,
} from './checkpoint.ts';
import type { Dataset } from './dataset.ts';
import { Epoch, type BatchLimits } from './epoch.ts';
import { evaluateOn } from './evaluation.ts';
import { Networks } from './networks.ts';
import { resolveOptions, type ResolvedOptions, type TrainerOptions } from './options.ts';
import { epochBatches } from './sampler.ts';
import type {
  Evaluation,
  CheckpointStore,
  EvaluationReport,
  StepReport,
  TrainRun,
  TrainerDevice,
  TrainerStart,
} from './runs.ts';
import { Schedule } from './schedule.ts';

const FRAME_SECONDS = 0.01;
/** Lines of the log that are kept, the newest. */
const MOST_LOGGED = 10000;

/** Trains a model on a GPU: steps, validations and checkpoints, the same to the byte for the same seed on one adapter. */
export class Trainer {
  readonly #opened: OpenedEngine;
  readonly #context: GpuContext;
  /** As it was at the start. */
  readonly #model: Model;
  readonly #options: ResolvedOptions;
  readonly #parameters: Parameters;
  readonly #optimizer: Optimizer;
  readonly #schedule: Schedule;
  readonly #state: TrainerState;
  /** Most utterances of a micro-batch; found out where it is not stated. */
  #batchSize: number | undefined;
  readonly #networks: Networks;
  /** Names of the checkpoints that are there, the oldest first; unknown until one is written. */
  #kept: string[] | undefined;
  /** The weights with the lowest validation loss, where they are wanted at the end. */
  #best: ModelFiles | undefined;
  /** Whether they stand in the place of the last, averages among them. */
  #isBestTaken = false;

  private constructor(
    opened: OpenedEngine,
    model: Model,
    options: ResolvedOptions,
    parameters: Parameters,
    optimizer: Optimizer,
    state: TrainerState,
  ) {
    this.#opened = opened;
    this.#context = gpuOf(opened.engine);
    this.#model = model;
    this.#options = options;
    this.#parameters = parameters;
    this.#optimizer = optimizer;
    this.#state = state;
    this.#schedule = new Schedule(options, state.scheduler);
    this.#networks = new Networks(this.#context, model, parameters, options);
    this.#batchSize = options.batchSize === 'auto' ? undefined : options.batchSize;
  }

  /**
   * Makes a trainer that begins with a model's weights.
   *
   * @param start what it goes on from, by default from nothing
   * @throws RillError `bad-argument` for options that there are not or that are out of range, `bad-model` without the head,
   * `no-webgpu`, `no-adapter`, `shader`, `gpu`.
   */
  static async create(
    model: Model,
    { device = 'webgpu', ...options }: TrainerOptions & TrainerDevice = {},
    start: TrainerStart = {},
  ): Promise<Trainer> {
    const resolved = resolveOptions(options);
    const scheduler = new Schedule(resolved).state;
    const state: TrainerState = {
      ...{ step: 0, microStep: 0, epoch: 0, stepInEpoch: 0, bestValidLoss: null, bestStep: null },
      ...{ scheduler, log: [], options },
      ...start.state,
    };
    return Trainer.#begin(model, resolved, device, state, start);
  }

  /**
   * Goes on from a checkpoint, to the byte as if it had never stopped.
   *
   * @param options that are to be others than those that it was begun with: `numTrainEpochs` or `maxSteps`, to train for longer
   * @throws RillError `bad-model` for files that are no checkpoint's, and as {@link create} does.
   */
  static async resume(
    files: CheckpointFiles,
    { device = 'webgpu', ...options }: TrainerOptions & TrainerDevice = {},
  ): Promise<Trainer> {
    const { optimizer, state } = readCheckpoint(files);
    const all = { ...state.options, ...options };
    return Trainer.#begin(openModel(files), resolveOptions(all), device, { ...state, options: all }, { optimizer });
  }

  static async #begin(
    model: Model,
    options: ResolvedOptions,
    device: TrainerDevice['device'],
    state: TrainerState,
    { optimizer: saved, scales = scalesOf(saved) }: TrainerStart,
  ): Promise<Trainer> {
    const opened = await engineFor({ device });
    let parameters: Parameters | undefined;
    let optimizer: Optimizer | undefined;
    try {
      const context = gpuOf(opened.engine);
      const layouts = trainingLayouts(model.sizes, options.loss);
      parameters = await Parameters.load(context, model.weights, layouts, options.trainable);
      optimizer = await Optimizer.create(context, parameters, { ...options, scales });
      if (saved) {
        await optimizer.load(saved);
      }
      return new Trainer(opened, model, options, parameters, optimizer, state);
    } catch (error) {
      optimizer?.dispose();
      parameters?.dispose();
      if (opened.isOwn) {
        opened.engine.dispose();
      }
      throw error;
    }
  }

  /** Elements of all tensors that are trained. */
  get parameterCount(): number {
    return this.#parameters.trained.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }

  /** Where the training stands. */
  get state(): Readonly<TrainerState> {
    const options = { ...this.#state.options, ...(this.#batchSize && { batchSize: this.#batchSize }) };
    return { ...this.#state, options, scheduler: this.#schedule.state };
  }

  /**
   * Takes one step.
   *
   * @param microBatches whose gradients are summed; what is random in them is drawn here
   * @throws RillError `bad-argument` for a batch that the model cannot take, `device-lost`, `gpu`.
   */
  async step(microBatches: readonly TrainingBatch[]): Promise<StepReport> {
    return this.#step(microBatches, this.#options.maxSteps);
  }

  /**
   * Trains until the last epoch or step, or until the signal is aborted.
   *
   * @returns the last validation, where there was one
   * @throws RillError as {@link step} does, and what reading recordings and writing checkpoints throws.
   */
  async train(dataset: Dataset, run: TrainRun = {}): Promise<EvaluationReport | undefined> {
    this.#checkModel(dataset);
    const { evalSteps, saveSteps, loadBestModelAtEnd } = this.#options;
    const state = this.#state;
    await this.#prepare(dataset, run.evalDataset);
    let last: EvaluationReport | undefined;
    let isDone = false;
    while (!isDone && !run.signal?.aborted) {
      const epoch = new Epoch(dataset, state.epoch, this.#options, this.#limits);
      const load = (): Promise<TrainingBatch[]> | undefined =>
        state.step < epoch.totalSteps ? epoch.load(state.stepInEpoch, state.microStep) : undefined;
      let next = load();
      while (next && !run.signal?.aborted) {
        const stepping = this.#step(await next, epoch.totalSteps);
        state.stepInEpoch++;
        // The next batches are read and reckoned while the GPU is at work.
        next = load();
        next?.catch(() => undefined);
        const report = { ...(await stepping), epoch: state.epoch + state.stepInEpoch / epoch.length };
        this.#logStep(report);
        run.onStep?.(report);
        if (run.evalDataset && (evalSteps ? report.step % evalSteps === 0 : !next)) {
          last = await this.#validate(run.evalDataset, report.epoch, run);
        }
        if (saveSteps && report.step % saveSteps === 0) {
          await this.#keep(run.checkpoints);
        }
      }
      isDone = state.step >= epoch.totalSteps;
      if (!next) {
        state.epoch++;
        state.stepInEpoch = 0;
      }
    }
    if (loadBestModelAtEnd && this.#best && !run.signal?.aborted) {
      await this.#take(this.#best);
    }
    return last;
  }

  /**
   * Losses of recordings and what is heard of them.
   *
   * @throws RillError as {@link step} does, and what reading recordings throws.
   */
  async evaluate(dataset: Dataset, signal?: AbortSignal): Promise<Evaluation> {
    this.#checkModel(dataset);
    const { loss: head, average } = this.#options;
    const { capacity, evaluating } = await this.#prepare(dataset);
    const model = await this.#modelNow();
    const seconds = dataset.utterances.map((each) => each.seconds);
    const batches = epochBatches(seconds, 0, { ...this.#limits, seed: 0 });
    const network = average ? await this.#networks.withWeights(model, capacity) : evaluating;
    try {
      return await evaluateOn(network, model, dataset, batches, { head, signal });
    } finally {
      if (network !== evaluating) {
        network.dispose();
      }
    }
  }

  /**
   * The model as it is now; of the averages, where they are kept. A head that was not trained is left out where layers below it
   * were: it would no longer fit them.
   */
  async toModel(): Promise<ModelFiles> {
    return writeModel(await this.#modelNow());
  }

  /** A checkpoint: {@link resume} goes on from it. */
  async save(): Promise<CheckpointFiles> {
    const model = await writeModel(await this.#modelWith());
    return writeCheckpoint(model, { optimizer: await this.#optimizer.save(), state: this.state });
  }

  /** Frees its memory, and the device that it has opened. */
  dispose(): void {
    this.#networks.dispose();
    this.#optimizer.dispose();
    this.#parameters.dispose();
    if (this.#opened.isOwn) {
      this.#opened.engine.dispose();
    }
  }

  async #step(microBatches: readonly TrainingBatch[], totalSteps: number | undefined): Promise<StepReport> {
    const state = this.#state;
    const { reduction, seed, modelWarmupSteps: warmup } = this.#options;
    const { step, microStep } = state;
    this.#isBestTaken = false;
    const learningRate = this.#schedule.rate(step, state.epoch, totalSteps);
    // Before anything is waited for: the next step's batches may be drawn meanwhile.
    state.step++;
    state.microStep += microBatches.length;
    const batches = microBatches.map((batch, i) => ({
      ...batch,
      warmup: warmup > 0 ? step / warmup : 1,
      ...(this.#networks.isRandom && { draws: { seed, microStep: microStep + i } }),
    }));
    const { training } = await this.#networks.for(batches.map(roomOf).reduce(widened));
    const options = { reduction, utterancesInStep: batches.reduce((sum, { lens }) => sum + lens.length, 0) };
    const { losses, state: taken } = await takeStep(
      { context: this.#context, network: training, optimizer: this.#optimizer },
      batches,
      options,
      learningRate,
    );
    const frames = batches.flatMap(({ lens }) => lens);
    const sum = losses.flatMap((each) => each.losses).reduce((total, loss) => total + loss, 0);
    return {
      step: step + 1,
      epoch: state.epoch,
      loss: losses.reduce((total, { loss }) => total + loss, 0),
      lossPerFrame: sum / frames.reduce((total, len) => total + encoderFrames(len), 0),
      ...{ gradNorm: taken.gradNorm, isSkipped: taken.isSkipped, learningRate },
      audioSeconds: FRAME_SECONDS * frames.reduce((total, len) => total + len, 0),
      totalSteps: totalSteps ?? step + 1,
    };
  }

  async #validate(dataset: Dataset, epoch: number, run: TrainRun): Promise<EvaluationReport> {
    const state = this.#state;
    const evaluation = await this.evaluate(dataset);
    const { lossPerFrame, wordErrorRate } = evaluation;
    const isBest = state.bestValidLoss === null || lossPerFrame < state.bestValidLoss;
    const report = { ...evaluation, step: state.step, epoch, isBest };
    this.#schedule.validated(lossPerFrame);
    this.#log({ step: state.step, epoch, evalLoss: lossPerFrame, wordErrorRate });
    if (isBest) {
      state.bestValidLoss = lossPerFrame;
      state.bestStep = state.step;
      await this.#keepBest(run.checkpoints);
    }
    run.onEvaluate?.(report);
    return report;
  }

  async #keepBest(store: CheckpointStore | undefined): Promise<void> {
    const { average, loadBestModelAtEnd } = this.#options;
    if (!store && !loadBestModelAtEnd) {
      return;
    }
    // What was validated are the averages, where they are kept; training goes on from other weights than those.
    const files = average ? await this.toModel() : await this.save();
    await store?.write('best', files);
    if (loadBestModelAtEnd) {
      this.#best = files;
    }
  }

  /** Writes a checkpoint, and removes those that are too many. */
  async #keep(store: CheckpointStore | undefined): Promise<void> {
    if (!store) {
      return;
    }
    const name = `checkpoint-${this.#state.step}`;
    const kept = (this.#kept ??= checkpointsBefore(this.#state.step, (await store.list?.()) ?? []));
    await store.write(name, await this.save());
    kept.push(name);
    while (kept.length > (this.#options.saveTotalLimit ?? Infinity)) {
      await store.remove(kept.splice(0, 1)[0]);
    }
  }

  #logStep({ step, epoch, loss, lossPerFrame, learningRate, gradNorm }: StepReport): void {
    this.#log({ step, epoch, loss, lossPerFrame, learningRate, gradNorm });
  }

  #log(entry: LogEntry): void {
    const { log } = this.#state;
    log.push(entry);
    log.splice(0, log.length - MOST_LOGGED);
  }

  async #modelNow(): Promise<Model> {
    return this.#modelWith(this.#options.average && !this.#isBestTaken ? await this.#optimizer.averages() : undefined);
  }

  /** @param values of what is trained; as they are by default */
  async #modelWith(values?: ReadonlyMap<string, Float32Array<ArrayBuffer>>): Promise<Model> {
    const { sizes, weights } = this.#model;
    const isEncoderTrained = this.#parameters.trained.some(({ name }) => name.startsWith('encoder.'));
    return {
      ...this.#model,
      sizes: isEncoderTrained ? withHead(sizes, this.#options.loss) : sizes,
      weights: await this.#parameters.into(weights, values),
    };
  }

  /** Puts weights in the place of those that are there. */
  async #take(files: ModelFiles): Promise<void> {
    await this.#parameters.write(openModel(files).weights);
    this.#isBestTaken = true;
  }

  #checkModel({ model }: Dataset): void {
    const [own, other] = [this.#model.tokens, model.tokens].map((tokens) => tokens?.toString());
    if (own !== other) {
      throw new RillError('bad-argument', {
        got: 'a set that was opened with other tokens',
        expected: 'the tokens of the model that is trained',
        remedy: 'Open the set with this model.',
      });
    }
  }

  /** Makes room for sets before anything is read of them. */
  async #prepare(dataset: Dataset, evalDataset?: Dataset) {
    const slowest = Math.min(1, ...(this.#options.augmentation.speed ?? []));
    const capacityFor = (limits: BatchLimits) => {
      const capacity = capacityOf(dataset, limits, slowest);
      return evalDataset ? widened(capacity, capacityOf(evalDataset, limits)) : capacity;
    };
    this.#batchSize ??= await largestBatch(Math.min(MOST_UTTERANCES, dataset.utterances.length), async (batchSize) => {
      await this.#networks.attempt(capacityFor({ ...this.#limits, batchSize }));
    });
    return this.#networks.for(capacityFor(this.#limits));
  }

  /** How large micro-batches are. */
  get #limits(): BatchLimits {
    const { maxDuration } = this.#options;
    return { batchSize: this.#batchSize ?? MOST_UTTERANCES, maxDuration };
  }
}

/** Log-scales of what was saved in the scaled parametrisation; their values are loaded with the rest. */
function scalesOf(saved: SavedOptimizer | undefined): ReadonlyMap<string, number> | undefined {
  const names = [...(saved?.tensors.tensors.keys() ?? [])].filter((name) => name.startsWith('scale.'));
  return names.length > 0 ? new Map(names.map((name) => [name.slice('scale.'.length), 0])) : undefined;
}

/** Names of checkpoints of fewer steps, the oldest first. */
function checkpointsBefore(step: number, names: readonly string[]): string[] {
  const stepOf = (name: string) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? NaN);
  return names.filter((name) => stepOf(name) < step).sort((a, b) => stepOf(a) - stepOf(b));
}

/** Sizes with one head alone. */
const withHead = ({ transducer, hasCtc, ...sizes }: Model['sizes'], head: Head): Model['sizes'] =>
  head === 'ctc' ? { ...sizes, hasCtc } : { ...sizes, transducer, hasCtc: false };

/** How much room a batch takes. */
function roomOf({ lens, targets }: TrainingBatch): Capacity {
  const frames = Math.max(...lens.map(encoderFrames));
  const labels = Math.max(1, ...targets.map((target) => ('token' in target ? 1 : target.length)));
  return { utterances: lens.length, frames, labels, rows: lens.length * frames };
}
