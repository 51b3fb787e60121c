import type { EngineOptions } from '../../engine.ts';
import { engineFor, type OpenedEngine } from '../../engine.ts';
import { RillError } from '../../errors.ts';
import { openModel, type Model, type ModelFiles } from '../../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, encoderFrames } from '../../model/sizes.ts';
import { elementCount, withTensors } from '../../model/tensors.ts';
import { writeModel } from '../../model/write.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import { readBoth } from '../../webgpu/device/readback.ts';
import type { TrainingBatch } from '../batch.ts';
import { gpuOf } from '../device.ts';
import { auxLayers } from '../draws.ts';
import { trainingLayouts, type Head } from '../layout.ts';
import { TrainingNetwork } from '../network.ts';
import type { Capacity } from '../operations.ts';
import { Optimizer } from '../optimizer.ts';
import { Parameters } from '../parameters.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { MOST_UTTERANCES, largestBatch } from './batch-size.ts';
import { augmentedFeatures } from './augmented.ts';
import { batchOf, capacityOf, widened } from './batches.ts';
import { readCheckpoint, writeCheckpoint, type CheckpointFiles, type TrainerState } from './checkpoint.ts';
import type { Dataset } from './dataset.ts';
import { evaluateOn, type Evaluation } from './evaluation.ts';
import { resolveOptions, type ResolvedOptions, type TrainerOptions } from './options.ts';
import { epochBatches } from './sampler.ts';
import { Schedule } from './schedule.ts';

/** What a step was. */
export interface StepReport {
  /** Steps so far, this one among them. */
  step: number;
  /** Passes over the data so far, with the share of the one that is under way. */
  epoch: number;
  /** As it was reduced. */
  loss: number;
  /** All utterances' losses by all their encoder frames. */
  lossPerFrame: number;
  /** Of all gradients, before clipping. */
  gradNorm: number;
  learningRate: number;
  /** Whether gradients were not finite, so that nothing has changed. */
  isSkipped: boolean;
  /** Of its utterances, as they were trained on. */
  audioSeconds: number;
  /** Steps of the whole training. */
  totalSteps: number;
}

/** A validation, and where in the training it was. */
export interface EvaluationReport extends Evaluation {
  step: number;
  epoch: number;
  /** Whether no validation before was better. */
  isBest: boolean;
}

/** Where checkpoints are kept. */
export interface CheckpointStore {
  /** @param name `best`, or `checkpoint-` with the step; what is there of that name is replaced */
  write: (name: string, files: CheckpointFiles) => Promise<void>;
  remove: (name: string) => Promise<void>;
}

/** What a training is told. */
export interface TrainRun {
  /** What it is validated on; nothing by default. */
  evalDataset?: Dataset;
  onStep?: (report: StepReport) => void;
  onEvaluate?: (report: EvaluationReport) => void;
  /** Where checkpoints go; nowhere by default. */
  checkpoints?: CheckpointStore;
  /** Ends it behind the step that is under way; {@link Trainer.save} and {@link Trainer.train} go on from there. */
  signal?: AbortSignal;
}

/** What a trainer begins with, beside weights. */
export interface TrainerStart {
  /** Moments, and the rest that an optimizer remembers. */
  optimizer?: SavedOptimizer;
  /** Log-scales of icefall's scaled parametrisation, by the names of their tensors: those are trained then, too. */
  scales?: ReadonlyMap<string, number>;
  state?: Partial<Pick<TrainerState, 'step' | 'epoch' | 'bestValidLoss'>>;
}

/** What a trainer runs on. */
export type TrainerDevice = Pick<EngineOptions, 'device'>;

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
  /** For the largest batches so far. */
  #networks: { capacity: Capacity; training: TrainingNetwork; evaluating: TrainingNetwork } | undefined;
  /** The weights with the lowest validation loss, where they are wanted at the end. */
  #best: ModelFiles | undefined;

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
    const { learningRate, plateau } = resolved;
    const scheduler = new Schedule({ ...resolved, learningRate, plateau }).state;
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
    for (let plan = this.#plan(dataset); ; plan = this.#plan(dataset)) {
      let next = this.#load(dataset, plan);
      while (next && !run.signal?.aborted) {
        const batches = await next;
        const report = this.#step(batches, plan.totalSteps);
        // The next batches are read and reckoned while the GPU is at work.
        state.stepInEpoch++;
        next = this.#load(dataset, plan);
        next?.catch(() => undefined);
        const done = await report;
        run.onStep?.({ ...done, epoch: this.#epochs(plan.steps) });
        const isEnd = next === undefined;
        if (run.evalDataset && (evalSteps ? done.step % evalSteps === 0 : isEnd)) {
          last = await this.#validate(run.evalDataset, plan.steps, run);
        }
        if (saveSteps && done.step % saveSteps === 0) {
          await this.#keep(run.checkpoints);
        }
      }
      if (next) {
        break;
      }
      state.epoch++;
      state.stepInEpoch = 0;
      if (state.step >= plan.totalSteps) {
        break;
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
    await this.#prepare(dataset);
    const model = await this.#modelNow();
    const seconds = dataset.utterances.map((each) => each.seconds);
    const batches = epochBatches(seconds, 0, { ...this.#largest, seed: 0 });
    const { capacity, evaluating } = this.#requireNetworks();
    const network = average
      ? await TrainingNetwork.create(this.#context, model, capacity, this.#evaluating())
      : evaluating;
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
    const model = await writeModel(await this.#modelWith(await this.#parameters.values()));
    return writeCheckpoint(model, { optimizer: await this.#optimizer.save(), state: this.state });
  }

  /** Frees its memory, and the device that it has opened. */
  dispose(): void {
    this.#disposeNetworks();
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
    const learningRate = this.#schedule.rate(step, state.epoch, totalSteps);
    // Before anything is waited for: the next step's batches may be drawn meanwhile.
    state.step++;
    state.microStep += microBatches.length;
    const batches = microBatches.map((batch, i) => ({
      ...batch,
      warmup: warmup > 0 ? step / warmup : 1,
      ...(this.#isRandom && { draws: { seed, microStep: microStep + i } }),
    }));
    await this.#makeRoom(batches.map(roomOf).reduce(widened));
    const { training } = this.#requireNetworks();
    const options = { reduction, utterancesInStep: batches.reduce((sum, { lens }) => sum + lens.length, 0) };
    const before: Promise<{ losses: number[]; loss: number }>[] = [];
    batches.forEach((batch, i) => {
      const isLast = i === batches.length - 1;
      const then = (encoder: GPUCommandEncoder) => {
        this.#optimizer.step(encoder, learningRate);
      };
      training.submit(batch, options, { isFirst: i === 0, ...(isLast && { then }) });
      if (!isLast) {
        before.push(training.losses());
      }
    });
    const [last, taken] = await readBoth(this.#context, training.pendingLosses(), this.#optimizer.pendingState());
    const losses = [...(await Promise.all(before)), last];
    const frames = batches.flatMap(({ lens }) => lens);
    const sum = losses.flatMap((each) => each.losses).reduce((total, loss) => total + loss, 0);
    const report: StepReport = {
      step: step + 1,
      epoch: state.epoch,
      loss: losses.reduce((total, { loss }) => total + loss, 0),
      lossPerFrame: sum / frames.reduce((total, len) => total + encoderFrames(len), 0),
      ...{ gradNorm: taken.gradNorm, isSkipped: taken.isSkipped, learningRate },
      audioSeconds: FRAME_SECONDS * frames.reduce((total, len) => total + len, 0),
      totalSteps: totalSteps ?? state.step,
    };
    const { epoch, loss, gradNorm } = report;
    this.#log({ step: report.step, epoch, loss, learningRate, gradNorm });
    return report;
  }

  /** Whether anything is drawn in a step. */
  get #isRandom(): boolean {
    const { dropout, layerDropout, shaping } = this.#options;
    return dropout > 0 || layerDropout > 0 || this.#auxLayers.length > 0 || shaping.balancers === true;
  }

  get #auxLayers(): number[] {
    return auxLayers(this.#model.sizes.encoder.numEncoderLayers, this.#options.auxLayerPeriod);
  }

  /** The epoch that is under way: its steps, each of some batches, and all steps of the training. */
  #plan(dataset: Dataset) {
    const { gradientAccumulationSteps: micro, numTrainEpochs, maxSteps, seed } = this.#options;
    const seconds = dataset.utterances.map((each) => each.seconds);
    const batches = epochBatches(seconds, this.#state.epoch, { ...this.#largest, seed });
    const steps = Array.from({ length: Math.ceil(batches.length / micro) }, (_, i) =>
      batches.slice(i * micro, (i + 1) * micro),
    );
    return { steps, totalSteps: maxSteps ?? Math.ceil(numTrainEpochs * steps.length) };
  }

  #epochs(steps: readonly unknown[]): number {
    return this.#state.epoch + this.#state.stepInEpoch / steps.length;
  }

  /** The batches of the next step of an epoch; nothing at its end, and at that of the training. */
  #load(
    dataset: Dataset,
    { steps, totalSteps }: { steps: readonly (readonly (readonly number[])[])[]; totalSteps: number },
  ): Promise<TrainingBatch[]> | undefined {
    const { step, microStep, stepInEpoch } = this.#state;
    const { augmentation, seed } = this.#options;
    if (stepInEpoch >= steps.length || step >= totalSteps) {
      return undefined;
    }
    const { numFeatures } = this.#model.sizes.encoder;
    return Promise.all(
      steps[stepInEpoch].map(async (members, i) => {
        const draw = { seed, microStep: microStep + i };
        const features = await Promise.all(
          members.map((n, place) => augmentedFeatures(dataset, n, place, draw, augmentation)),
        );
        const targets = members.map((n) => dataset.utterances[n].tokens);
        return batchOf(features, targets, numFeatures);
      }),
    );
  }

  async #validate(dataset: Dataset, steps: readonly unknown[], run: TrainRun): Promise<EvaluationReport> {
    const state = this.#state;
    const evaluation = await this.evaluate(dataset);
    const { lossPerFrame, wordErrorRate } = evaluation;
    const isBest = state.bestValidLoss === null || lossPerFrame < state.bestValidLoss;
    const report = { ...evaluation, step: state.step, epoch: this.#epochs(steps), isBest };
    this.#schedule.validated(lossPerFrame);
    this.#log({ step: state.step, epoch: report.epoch, evalLoss: lossPerFrame, wordErrorRate });
    if (isBest) {
      state.bestValidLoss = lossPerFrame;
      state.bestStep = state.step;
      const files = run.checkpoints ? await this.save() : undefined;
      if (files) {
        await run.checkpoints?.write('best', files);
      }
      if (this.#options.loadBestModelAtEnd) {
        this.#best = files ?? (await this.toModel());
      }
    }
    run.onEvaluate?.(report);
    return report;
  }

  readonly #kept: string[] = [];

  /** Writes a checkpoint, and removes those that are too many. */
  async #keep(store: CheckpointStore | undefined): Promise<void> {
    if (!store) {
      return;
    }
    const name = `checkpoint-${this.#state.step}`;
    await store.write(name, await this.save());
    this.#kept.push(name);
    while (this.#kept.length > (this.#options.saveTotalLimit ?? Infinity)) {
      await store.remove(this.#kept.splice(0, 1)[0]);
    }
  }

  #log(entry: TrainerState['log'][number]): void {
    const { log } = this.#state;
    log.push(entry);
    log.splice(0, log.length - MOST_LOGGED);
  }

  async #modelNow(): Promise<Model> {
    const { average } = this.#options;
    return this.#modelWith(await (average ? this.#optimizer.averages() : this.#parameters.values()));
  }

  #modelWith(values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): Model {
    const { sizes, weights } = this.#model;
    const changed = new Map(
      this.#parameters.trained.map(({ name, shape }) => [
        name,
        { shape, values: values.get(name) ?? new Float32Array() },
      ]),
    );
    const isEncoderTrained = this.#parameters.trained.some(({ name }) => name.startsWith('encoder.'));
    return {
      ...this.#model,
      sizes: isEncoderTrained ? withHead(sizes, this.#options.loss) : sizes,
      weights: withTensors(weights, changed),
    };
  }

  /** Puts weights in the place of those that are there. */
  async #take(files: ModelFiles): Promise<void> {
    await this.#parameters.write(openModel(files).weights);
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
  async #prepare(dataset: Dataset, evalDataset?: Dataset): Promise<void> {
    const slowest = Math.min(1, ...(this.#options.augmentation.speed ?? []));
    const capacityFor = (largest: { batchSize: number; maxDuration?: number }) => {
      const capacity = capacityOf(dataset, largest, slowest);
      return evalDataset ? widened(capacity, capacityOf(evalDataset, largest)) : capacity;
    };
    this.#batchSize ??= await largestBatch(Math.min(MOST_UTTERANCES, dataset.utterances.length), async (batchSize) => {
      await this.#attempt(capacityFor({ ...this.#largest, batchSize }));
    });
    await this.#makeRoom(capacityFor(this.#largest));
  }

  /** How large micro-batches are. */
  get #largest(): { batchSize: number; maxDuration?: number } {
    const { maxDuration } = this.#options;
    return { batchSize: this.#batchSize ?? MOST_UTTERANCES, maxDuration };
  }

  /** Makes room, and runs a batch of silence that takes all of it; nothing is trained by it. */
  async #attempt(capacity: Capacity): Promise<void> {
    this.#disposeNetworks();
    await this.#makeRoom(capacity);
    const { training } = this.#requireNetworks();
    const { utterances, frames, rows = utterances * frames } = capacity;
    const count = Math.max(1, Math.min(utterances, Math.floor(rows / frames)));
    const length = SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES;
    const lens = Array.from({ length: count }, () => length);
    training.submit(
      {
        features: new Float32Array(count * length * this.#model.sizes.encoder.numFeatures),
        lens,
        targets: lens.map(() => []),
        ...(this.#isRandom && { draws: { seed: 0, microStep: 0 } }),
      },
      { reduction: 'sum' },
      { isFirst: true },
    );
    await training.losses();
  }

  /** Networks for batches of this size, and of all sizes before. */
  async #makeRoom(wanted: Capacity): Promise<void> {
    const before = this.#networks?.capacity;
    const capacity = before ? widened(before, wanted) : wanted;
    if (before && JSON.stringify(widened(before, before)) === JSON.stringify(capacity)) {
      return;
    }
    this.#disposeNetworks();
    const { dropout, layerDropout, recompute, shaping } = this.#options;
    const options = this.#evaluating();
    const make = (more: object) =>
      TrainingNetwork.create(this.#context, this.#model, capacity, { ...options, ...more }, this.#parameters);
    const training = await make({ dropout, layerDropout, recompute, shaping, auxLayers: this.#auxLayers });
    try {
      const evaluating = this.#isRandom ? await make({ recompute: true }) : training;
      this.#networks = { capacity, training, evaluating };
    } catch (error) {
      training.dispose();
      throw error;
    }
  }

  /** Options of a network that is only evaluated. */
  #evaluating() {
    const { loss, rnntType, trainable } = this.#options;
    return { loss, rnntType, trainable };
  }

  #requireNetworks() {
    if (!this.#networks) {
      throw new RillError('internal', { got: 'no network', expected: 'one', remedy: 'Please report this.' });
    }
    return this.#networks;
  }

  #disposeNetworks(): void {
    const { training, evaluating } = this.#networks ?? {};
    training?.dispose();
    if (evaluating !== training) {
      evaluating?.dispose();
    }
    this.#networks = undefined;
  }
}

/** Log-scales of what was saved in the scaled parametrisation; their values are loaded with the rest. */
function scalesOf(saved: SavedOptimizer | undefined): ReadonlyMap<string, number> | undefined {
  const names = [...(saved?.tensors.tensors.keys() ?? [])].filter((name) => name.startsWith('scale.'));
  return names.length > 0 ? new Map(names.map((name) => [name.slice('scale.'.length), 0])) : undefined;
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
