import { existsSync } from 'node:fs';
import { readFile, readdir, rm, writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openTrainingCheckpoint } from '../../src/checkpoint/training-checkpoint.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { RillError } from '../../src/errors.ts';
import { openModel } from '../../src/model/model.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import { ICEFALL_SPEC_AUGMENT } from '../../src/training/augment/spec-augment.ts';
import { initialModel } from '../../src/training/scratch.ts';
import type { CheckpointFiles } from '../../src/training/trainer/checkpoint.ts';
import { Dataset } from '../../src/training/trainer/dataset.ts';
import type { TrainerOptions } from '../../src/training/trainer/options.ts';
import { OPTIMIZERS } from '../../src/training/optimizer-options.ts';
import { PRECISIONS } from '../../src/training/precision.ts';
import { SCHEDULERS } from '../../src/training/trainer/schedule.ts';
import { startFrom } from '../../src/training/trainer/start.ts';
import type { CheckpointStore, EvaluationReport } from '../../src/training/trainer/runs.ts';
import { Trainer } from '../../src/training/trainer/trainer.ts';
import { readItem } from '../audio-features.ts';
import { isFolder, readModelFiles, readText, withFile, writeFolder } from '../files.ts';
import { readManifest, type Item } from '../manifest.ts';
import { Progress, note, percent, print, table } from '../terminal.ts';
import { readExperiments } from '../training/experiments.ts';
import { lettersOf } from '../training/letters.ts';
import { TrainingReport, duration } from '../training/report.ts';
import { adapterChoice, amount, count, oneOf, parse, usageError, type Command, type Options } from './arguments.ts';

const usage =
  'train <list or folder> --out DIR (--model DIR | --config 6x256 | --resume DIR | --experiments FILE) [options]';

const OPTIONS = {
  out: { type: 'string', value: 'DIR', help: 'the folder to write: the model, best/, checkpoint-N/, loss.svg' },
  model: {
    type: 'string',
    value: 'DIR',
    help: 'fine-tune this model folder, or go on from a checkpoint of PyTorch (.pt)',
  },
  config: { type: 'string', value: '6x256', help: 'begin from scratch: layers x width' },
  tokens: { type: 'string', value: 'FILE', help: 'tokens.txt', otherwise: 'from scratch: the letters of the texts' },
  resume: { type: 'string', value: 'DIR', help: 'go on from a checkpoint, to the byte' },
  experiments: { type: 'string', value: 'FILE', help: 'several trainings (JSON), and one table' },
  'eval-data': { type: 'string', value: 'LIST', help: 'validate on this list' },
  'eval-steps': { type: 'string', value: 'N', help: 'steps between validations', otherwise: 'each epoch' },
  loss: { type: 'string', value: 'ctc|transducer', help: 'the head to train', otherwise: 'ctc' },
  epochs: { type: 'string', value: 'N', help: 'passes over the data', otherwise: '3' },
  'max-steps': { type: 'string', value: 'N', help: 'steps, in place of epochs' },
  'batch-size': {
    type: 'string',
    value: 'N|auto',
    help: 'recordings of a batch; auto: as many as fit',
    otherwise: '8',
  },
  'max-duration': { type: 'string', value: 'S', help: 'seconds of a batch, padding included' },
  accumulate: { type: 'string', value: 'N', help: 'batches of a step', otherwise: '1' },
  lr: { type: 'string', value: 'RATE', help: 'learning rate', otherwise: '0.001; with eve from scratch 0.003' },
  scheduler: {
    type: 'string',
    value: SCHEDULERS.join('|'),
    help: 'how it goes',
    otherwise: 'linear; with eve from scratch eden',
  },
  optimizer: {
    type: 'string',
    value: OPTIMIZERS.join('|'),
    help: 'how weights follow their gradients',
    otherwise: 'adam; from scratch eve, with icefall’s recipe',
  },
  'warmup-steps': { type: 'string', value: 'N', help: 'steps over which it rises', otherwise: '0' },
  'max-grad-norm': { type: 'string', value: 'N', help: 'norm that gradients are clipped to', otherwise: '5' },
  trainable: { type: 'string', value: 'PREFIX,…', help: 'train these tensors alone, by icefall’s names' },
  dropout: { type: 'string', value: 'P', help: 'probability of dropout', otherwise: '0; from scratch 0.1' },
  'layer-dropout': {
    type: 'string',
    value: 'P',
    help: 'probability that a layer is bypassed',
    otherwise: '0; from scratch 0.075',
  },
  'spec-augment': { type: 'boolean', help: 'mask features as icefall does' },
  precision: {
    type: 'string',
    value: PRECISIONS.join('|'),
    help: 'how layers keep what the way back reads; f16 saves memory',
    otherwise: 'f32',
  },
  seed: { type: 'string', value: 'N', help: 'what is random is drawn by it', otherwise: '0' },
  'save-steps': { type: 'string', value: 'N', help: 'steps between checkpoints', otherwise: 'none but the best' },
  'keep-last-k': { type: 'string', value: 'K', help: 'checkpoints to keep', otherwise: 'all' },
  adapter: {
    type: 'string',
    value: 'gpu|software',
    help: 'the GPU adapter to insist on',
    otherwise: 'a GPU where there is one',
  },
} as const satisfies Options;

type Values = ReturnType<typeof parse<typeof OPTIONS>>['values'];

/** A training that is ready to begin. */
interface Prepared {
  trainer: Trainer;
  data: Dataset;
  evalData?: Dataset;
}

/** icefall's recipe from scratch (lstm_transducer_stateless2/train.py), scaled. */
const ICEFALL: TrainerOptions = {
  ...{ optimizer: 'eve', learningRate: 3e-3, lrSchedulerType: 'eden' },
  ...{ dropout: 0.1, layerDropout: 0.075, modelWarmupSteps: 3000 },
  shaping: { gradientFilter: true, balancers: true },
};
/** From scratch with another optimizer, not scaled. */
const PLAIN: TrainerOptions = { dropout: 0.1, layerDropout: 0.075 };

type NumberOption =
  'lr' | 'max-duration' | 'max-grad-norm' | 'dropout' | 'layer-dropout' | 'epochs' | 'seed' | 'warmup-steps';

function optionsOf(values: Values): TrainerOptions {
  const numberOf = (name: NumberOption) => amount({ usage }, name, values[name]);
  const whole = (name: 'max-steps' | 'batch-size' | 'accumulate' | 'eval-steps' | 'save-steps' | 'keep-last-k') =>
    count({ usage }, name, values[name]);
  const options: TrainerOptions = {
    loss: oneOf({ usage }, 'loss', values.loss, ['ctc', 'transducer']),
    numTrainEpochs: numberOf('epochs'),
    maxSteps: whole('max-steps'),
    batchSize: values['batch-size'] === 'auto' ? 'auto' : whole('batch-size'),
    maxDuration: numberOf('max-duration'),
    gradientAccumulationSteps: whole('accumulate'),
    learningRate: numberOf('lr'),
    optimizer: oneOf({ usage }, 'optimizer', values.optimizer, OPTIMIZERS),
    lrSchedulerType: oneOf({ usage }, 'scheduler', values.scheduler, SCHEDULERS),
    warmupSteps: numberOf('warmup-steps'),
    maxGradNorm: numberOf('max-grad-norm'),
    trainable: values.trainable?.split(','),
    dropout: numberOf('dropout'),
    layerDropout: numberOf('layer-dropout'),
    precision: oneOf({ usage }, 'precision', values.precision, PRECISIONS),
    augmentation: values['spec-augment'] ? { specAugment: ICEFALL_SPEC_AUGMENT } : undefined,
    seed: numberOf('seed'),
    evalSteps: whole('eval-steps'),
    saveSteps: whole('save-steps'),
    saveTotalLimit: whole('keep-last-k'),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

async function readCheckpointFolder(folder: string): Promise<CheckpointFiles> {
  const part = (name: string) => join(folder, name);
  if (!existsSync(part('trainer_state.json')) || !existsSync(part('optimizer.safetensors'))) {
    const names = (await readdir(folder).catch(() => [])).filter((name) => /^(best|checkpoint-\d+)$/.test(name));
    throw new RillError('bad-argument', {
      got: `${folder}, which is no checkpoint`,
      expected: 'a folder with trainer_state.json and optimizer.safetensors',
      remedy: names.length > 0 ? `Name one of ${names.map(part).join(', ')}.` : 'Name one that training wrote.',
    });
  }
  return {
    ...(await readModelFiles(folder)),
    'optimizer.safetensors': new Uint8Array(await readFile(part('optimizer.safetensors'))),
    'trainer_state.json': await readText(part('trainer_state.json')),
  };
}

/** The trainer that the options ask for. */
async function openTrainer(device: Engine, values: Values, options: TrainerOptions, items: readonly Item[]) {
  const { model: source, config, resume, tokens: tokensPath } = values;
  const tokens = tokensPath === undefined ? undefined : await readText(tokensPath);
  if (resume !== undefined) {
    const files = await readCheckpointFolder(resume);
    return { model: openModel(files), trainer: await Trainer.resume(files, { ...options, device }) };
  }
  if (config !== undefined) {
    const { seed = 0, loss = 'ctc', optimizer = 'eve' } = options;
    const initial = await initialModel(config, { seed, tokens: tokens ?? lettersOf(items), heads: [loss] });
    const model = openModel(initial.files);
    const trainer =
      optimizer === 'eve'
        ? await Trainer.create(model, { ...ICEFALL, ...options, device }, { scales: initial.scales })
        : await Trainer.create(model, { ...PLAIN, ...options, device });
    return { model, trainer };
  }
  const path = source ?? '';
  if (!(await isFolder(path))) {
    const checkpoint = await withFile(path, (file) => openTrainingCheckpoint(file, { tokens }));
    const model = openModel(checkpoint.files);
    const from = startFrom(checkpoint);
    return { model, trainer: await Trainer.create(model, { ...from.options, ...options, device }, from.start) };
  }
  const model = openModel(await readModelFiles(path));
  return { model, trainer: await Trainer.create(model, { ...options, device }) };
}

async function openDataset(model: Parameters<typeof Dataset.open>[0], items: readonly Item[], what: string) {
  const recordings = items.map((item) => ({ text: item.text, name: item.audio, audio: () => readItem(item) }));
  const progress = new Progress(`reading ${what}`);
  const set = await Dataset.open(model, recordings, (done, total) => {
    progress.update(done, total);
  }).finally(() => {
    progress.end();
  });
  for (const { name, reason } of set.refused) {
    note(`left out: ${name}: ${reason}`);
  }
  note(`${what}: ${set.utterances.length} recordings, ${duration(set.seconds)}`);
  return set;
}

async function prepare(device: Engine, path: string, values: Values, options: TrainerOptions): Promise<Prepared> {
  const items = await readManifest(path);
  const evalItems = values['eval-data'] === undefined ? undefined : await readManifest(values['eval-data']);
  const { model, trainer } = await openTrainer(device, values, options, items);
  try {
    const data = await openDataset(model, items, 'training data');
    return { trainer, data, evalData: evalItems && (await openDataset(model, evalItems, 'validation data')) };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}

/** Checkpoints as folders within another one. */
const folderStore = (out: string): CheckpointStore => ({
  write: (name, files) => writeFolder(join(out, name), { ...files }),
  remove: (name) => rm(join(out, name), { recursive: true, force: true }),
  list: () => readdir(out).catch(() => []),
});

/** The exit status of what Ctrl-C has ended. */
const INTERRUPTED = 130;

/** Milliseconds between lines where there is no terminal to write over. */
const MS_BETWEEN_NOTES = 10_000;

/** Trains, and writes what came of it. Ctrl-C ends it behind the step that is under way; nothing is lost. */
async function train({ trainer, data, evalData }: Prepared, out: string) {
  const report = new TrainingReport(trainer.state.log);
  const progress = new Progress('training');
  const stop = new AbortController();
  const onInterrupt = () => {
    if (stop.signal.aborted) {
      process.exit(INTERRUPTED);
    }
    note('\nending behind this step; Ctrl-C once more ends at once, without saving');
    stop.abort();
  };
  process.on('SIGINT', onInterrupt);
  let notedAt = performance.now();
  let last: EvaluationReport | undefined;
  try {
    await trainer.train(data, {
      evalDataset: evalData,
      checkpoints: folderStore(out),
      signal: stop.signal,
      onStep(step) {
        const line = report.stepped(step);
        progress.update(step.step, step.totalSteps, line);
        if (performance.now() - notedAt > MS_BETWEEN_NOTES && !process.stderr.isTTY) {
          notedAt = performance.now();
          note(line);
        }
      },
      onEvaluate(evaluation) {
        progress.end();
        last = evaluation;
        note(report.validated(evaluation));
      },
    });
    progress.end();
    await finish(trainer, report, out, stop.signal.aborted);
    return { report, last, isInterrupted: stop.signal.aborted };
  } finally {
    progress.end();
    process.off('SIGINT', onInterrupt);
  }
}

async function finish(trainer: Trainer, report: TrainingReport, out: string, isInterrupted: boolean): Promise<void> {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'loss.svg'), report.plot());
  if (isInterrupted) {
    const folder = join(out, `checkpoint-${trainer.state.step}`);
    await writeFolder(folder, { ...(await trainer.save()) });
    note(`saved; go on with --resume ${folder}`);
    return;
  }
  await writeFolder(out, { ...(await trainer.toModel()) });
  if (report.skipped > 0) {
    note(`${report.skipped} steps were skipped: their gradients were not finite`);
  }
}

/**
 * Trains one after the other, and prints one table, of those that were done where one fails.
 *
 * @returns whether that was interrupted
 */
async function compare(device: Engine, data: string, values: Values, path: string, out: string): Promise<boolean> {
  const rows = [['experiment', 'parameters', 'steps', 'loss a frame', 'validation', 'word error rate', 'time']];
  try {
    for (const { name, options, ...source } of await readExperiments(path)) {
      note(`\n${name}`);
      const began = performance.now();
      const prepared = await prepare(device, data, { ...values, ...source }, { ...options, ...optionsOf(values) });
      try {
        const { report, last, isInterrupted } = await train(prepared, join(out, name));
        const { parameterCount, state } = prepared.trainer;
        rows.push([
          name,
          `${(parameterCount / 1e6).toFixed(1)} M`,
          String(state.step),
          report.lastLoss.toFixed(4),
          last ? last.lossPerFrame.toFixed(4) : '–',
          last ? percent(last.wordErrorRate, 1) : '–',
          duration((performance.now() - began) / 1000),
        ]);
        if (isInterrupted) {
          return true;
        }
      } finally {
        prepared.trainer.dispose();
      }
    }
    return false;
  } finally {
    if (rows.length > 1) {
      print(table(rows));
    }
  }
}

export const trainModel: Command = {
  usage,
  summary: 'trains a model on recordings with their texts: from scratch, or from a model folder or checkpoint',
  options: OPTIONS,
  example: 'train my-recordings/ --model weights/wake-words --out my-model --eval-data held-out.csv',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [data, ...others] = positionals;
    const { out, model, config, resume, experiments } = values;
    const sources = [model, config, resume, experiments].filter((source) => source !== undefined);
    if (!data || others.length > 0) {
      throw usageError(`${positionals.length} lists`, { usage });
    }
    if (!out || sources.length !== 1) {
      const given = out ? '' : 'no --out, ';
      throw usageError(`${given}${sources.length} of --model, --config, --resume, --experiments`, { usage });
    }
    const options = optionsOf(values);
    const device = await openNodeEngine({ device: 'webgpu', adapter: adapterChoice({ usage }, values.adapter) });
    try {
      note(`on ${device.device.name}`);
      if (experiments !== undefined) {
        return (await compare(device, data, values, experiments, out)) ? INTERRUPTED : undefined;
      }
      const prepared = await prepare(device, data, values, options);
      try {
        const { isInterrupted } = await train(prepared, out);
        return isInterrupted ? INTERRUPTED : undefined;
      } finally {
        prepared.trainer.dispose();
      }
    } finally {
      device.dispose();
    }
  },
};
