import { RillError } from '../../errors.ts';
import type { SpecAugmentOptions } from '../augment/spec-augment.ts';
import type { Head } from '../losses/targets.ts';
import type { Reduction } from '../losses/targets.ts';
import type { RnntType } from '../losses/targets.ts';
import { OPTIMIZERS, type Average, type OptimizerName } from '../optimizer-options.ts';
import { PRECISIONS, type Precision } from '../precision.ts';
import type { EdenOptions, PlateauOptions } from '../schedules.ts';
import type { ShapingOptions } from '../shaping-options.ts';
import { SCHEDULERS, type LrSchedulerType } from './schedule.ts';

/** Noise that is added. */
export interface NoiseOptions {
  /** How often, from 0 to 1. */
  probability: number;
  /** In dB of full scale, from the first to the second. */
  level: readonly [number, number];
}

/** Other speech that is added. */
export interface OtherSpeechOptions {
  /** How often, from 0 to 1. */
  probability: number;
  /** By how many dB it is quieter, from the first to the second. */
  below: readonly [number, number];
}

/** What is done to recordings before they are trained on; nothing by default. All is drawn from the seed. */
export interface Augmentation {
  /** Speeds, one of which is drawn for each utterance: `[0.9, 1, 1.1]` in icefall. */
  speed?: readonly number[];
  /** dB, from the first to the second. */
  gain?: readonly [number, number];
  /** White or pink noise. */
  noise?: NoiseOptions;
  /** Other utterances of the set behind this one. */
  speech?: OtherSpeechOptions;
  /** Bands and stretches of the features that are masked. */
  specAugment?: SpecAugmentOptions;
}

/** How to train. Names are those of transformers' `TrainingArguments`, where it has them. */
export interface TrainerOptions {
  /** Passes over the data; 3 by default. */
  numTrainEpochs?: number;
  /** Steps, in place of epochs. */
  maxSteps?: number;
  /** Most utterances of a micro-batch; 8 by default. `auto`: as many as fit, up to 64, found out when training begins. */
  batchSize?: number | 'auto';
  /** Most seconds of a micro-batch, what pads among them; no limit by default. */
  maxDuration?: number;
  /** Micro-batches of a step; 1 by default. */
  gradientAccumulationSteps?: number;
  /** At its highest; 1e-3 by default. */
  learningRate?: number;
  /** `linear` by default: it falls to 0 at the last step. */
  lrSchedulerType?: LrSchedulerType;
  /** Steps over which the learning rate rises; 0 by default. */
  warmupSteps?: number;
  /** Of `eden`. */
  eden?: EdenOptions;
  /** Of `reduce_lr_on_plateau`. */
  plateau?: PlateauOptions;
  /** `adam` by default, `eve` for training from scratch. */
  optimizer?: OptimizerName;
  /** 0.9 and 0.98 by default. */
  betas?: readonly [number, number];
  /** The optimizer's own by default. */
  eps?: number;
  /** The optimizer's own by default. */
  weightDecay?: number;
  /** Norm that all gradients together are clipped to; 5 by default, Infinity for none. */
  maxGradNorm?: number;
  /** A running average of the weights, which validation and the model take then; none by default. */
  average?: Average;
  /** Which head is trained; `ctc` by default. */
  loss?: Head;
  /** Of the transducer's loss; `modified` by default. */
  rnntType?: RnntType;
  /** `mean` of each utterance by its tokens, PyTorch's, by default. */
  reduction?: Reduction;
  /** Prefixes of the names of what is trained, under icefall's names; all by default. */
  trainable?: readonly string[];
  /** Probability of dropout; 0 by default, 0.1 in icefall. */
  dropout?: number;
  /** Probability that a layer is bypassed; 0 by default, 0.075 in icefall. */
  layerDropout?: number;
  /** Period of the layers that RandomCombine combines; 0, which is none, by default. */
  auxLayerPeriod?: number;
  /** Steps over which layers come in; 0 by default, 3000 in icefall. */
  modelWarmupSteps?: number;
  /** Whether layers keep their input alone; by default where all does not fit. */
  recompute?: boolean;
  /**
   * How layers keep what the way back reads, `f32` by default; with `f16` they take two thirds of the memory. Not with
   * balancers.
   */
  precision?: Precision;
  /** What is done to recordings first; nothing by default. */
  augmentation?: Augmentation;
  /** icefall's gradient filter and balancers, for training from scratch; none by default. */
  shaping?: ShapingOptions;
  /** A whole number from 0 to 2^53 - 1; 0 by default. */
  seed?: number;
  /** Steps from one validation to the next; at the end of each epoch by default. */
  evalSteps?: number;
  /** Steps from one checkpoint to the next; none but the best by default. */
  saveSteps?: number;
  /** Checkpoints that are kept, the best aside; all by default. */
  saveTotalLimit?: number;
  /** Whether the weights with the lowest validation loss are taken at the end; false by default. */
  loadBestModelAtEnd?: boolean;
}

/** Options that have no value where they are not given. */
const OPEN = [
  'maxSteps',
  'maxDuration',
  'eps',
  'weightDecay',
  'average',
  'recompute',
  'evalSteps',
  'saveSteps',
  'saveTotalLimit',
] as const;
type Open = (typeof OPEN)[number];

/** Options as a trainer has them. */
export type ResolvedOptions = Required<Omit<TrainerOptions, Open>> & Pick<TrainerOptions, Open>;

const DEFAULTS: ResolvedOptions = {
  numTrainEpochs: 3,
  batchSize: 8,
  gradientAccumulationSteps: 1,
  learningRate: 1e-3,
  lrSchedulerType: 'linear',
  warmupSteps: 0,
  eden: {},
  plateau: {},
  optimizer: 'adam',
  betas: [0.9, 0.98],
  maxGradNorm: 5,
  loss: 'ctc',
  rnntType: 'modified',
  reduction: 'mean',
  trainable: [''],
  dropout: 0,
  layerDropout: 0,
  auxLayerPeriod: 0,
  modelWarmupSteps: 0,
  precision: 'f32',
  augmentation: {},
  shaping: {},
  seed: 0,
  loadBestModelAtEnd: false,
};

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 0;
const isPositive = (value: number) => value > 0;

/** What numbers have to be; the network and the optimizer check their own. */
const RANGES: readonly [names: readonly (keyof TrainerOptions)[], is: (value: number) => boolean, expected: string][] =
  [
    [
      ['maxSteps', 'batchSize', 'gradientAccumulationSteps', 'evalSteps', 'saveSteps', 'saveTotalLimit'],
      isCount,
      'a whole number from 1 on',
    ],
    [['warmupSteps', 'modelWarmupSteps', 'auxLayerPeriod', 'seed'], isWhole, 'a whole number from 0 on'],
    [['numTrainEpochs', 'learningRate', 'maxDuration'], isPositive, 'a number above 0'],
  ];

/** @throws RillError `bad-argument` for options that there are not, or out of range. */
export function resolveOptions(options: TrainerOptions): ResolvedOptions {
  const given: Record<string, unknown> = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const known: readonly string[] = [...Object.keys(DEFAULTS), ...OPEN];
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw unfit(unknown, given[unknown], `an option of ${known.join(', ')}`);
  }
  const resolved: ResolvedOptions = { ...DEFAULTS, ...given };
  for (const [names, is, expected] of RANGES) {
    for (const name of names) {
      const value = resolved[name];
      const isAuto = name === 'batchSize' && value === 'auto';
      if (value !== undefined && !isAuto && !(typeof value === 'number' && is(value))) {
        throw unfit(name, value, expected);
      }
    }
  }
  const words = [
    ['lrSchedulerType', SCHEDULERS],
    ['optimizer', OPTIMIZERS],
    ['loss', ['ctc', 'transducer']],
    ['rnntType', ['regular', 'modified']],
    ['reduction', ['mean', 'sum']],
    ['precision', PRECISIONS],
  ] as const;
  for (const [name, choices] of words) {
    if (!choices.some((word) => word === resolved[name])) {
      throw unfit(name, resolved[name], choices.join(', '));
    }
  }
  return resolved;
}

function unfit(name: string, value: unknown, expected: string): RillError {
  return new RillError('bad-argument', {
    got: `${name}: ${JSON.stringify(value)}`,
    expected,
    remedy: 'Leave it out for the default.',
  });
}
