import { beforeAll, describe, expect, it } from 'vitest';
import {
  GradScaler,
  ReduceLrOnPlateau,
  constantFactor,
  edenFactor,
  linearFactor,
  type GradScalerState,
  type PlateauState,
} from '../../src/training/schedules.ts';
import { expectClose } from '../support/close.ts';
import { trainingJson } from '../support/training.ts';

interface Plateau {
  options: {
    factor: number;
    patience: number;
    threshold?: number;
    threshold_mode?: 'abs';
    cooldown?: number;
    min_lr?: number;
    eps?: number;
  };
  start_lr: number;
  steps: { loss: number | 'nan'; lr_after: number; best: number; bad: number; cooldown: number }[];
}

interface Golden extends Record<'seed_document' | 'threshold_cooldown' | 'abs', Plateau> {
  eden: { start_lr: number; lr_batches: number; lr_epochs: number; steps: Record<'epoch' | 'batch' | 'lr', number>[] };
  grad_scaler_by_rule: {
    init_scale: number;
    growth_factor: number;
    backoff_factor: number;
    growth_interval: number;
    steps: { finite: boolean; scale_after: number }[];
  };
}

let golden: Golden;

beforeAll(async () => {
  golden = await trainingJson<Golden>('schedules/schedules.json');
});

/** A state as a checkpoint keeps it. */
const kept = <State>(state: State) => JSON.parse(JSON.stringify(state)) as State;

describe('ReduceLrOnPlateau', () => {
  it.each(['seed_document', 'threshold_cooldown', 'abs'] as const)(
    "does what PyTorch's does, kept and read again at every step: %s",
    (name) => {
      const { options, start_lr: start, steps } = golden[name];
      const { factor, patience, threshold = 1e-4, cooldown = 0, eps = 1e-8 } = options;
      const thresholdMode: 'rel' | 'abs' = options.threshold_mode ?? 'rel';
      const all = { factor, patience, threshold, thresholdMode, cooldown, eps, minLr: options.min_lr ?? 0 };
      let state: number | PlateauState = start;
      for (const { loss, lr_after: lr, best, bad, cooldown: rest } of steps) {
        const schedule: ReduceLrOnPlateau = new ReduceLrOnPlateau(state, all);
        expectClose([schedule.validated(loss === 'nan' ? NaN : loss)], [lr], { absolute: 0, relative: 1e-15 }, 'lr');
        expect(schedule.state).toMatchObject({ best, bad, cooldown: rest });
        state = kept(schedule.state);
      }
    },
  );

  it('has the defaults of the recipe', () => {
    const { start_lr: start, steps } = golden.seed_document;
    const schedule = new ReduceLrOnPlateau(start);
    for (const { loss, lr_after: lr } of steps) {
      expect(schedule.validated(loss === 'nan' ? NaN : loss)).toBe(lr);
    }
  });
});

describe('edenFactor', () => {
  it("is icefall's", () => {
    const { start_lr: start, lr_batches: batches, lr_epochs: epochs, steps } = golden.eden;
    const rates = steps.map(({ batch, epoch }) => start * edenFactor(batch, epoch, { batches, epochs }));
    expectClose(
      rates,
      steps.map(({ lr }) => lr),
      { absolute: 0, relative: 1e-14 },
    );
  });
});

describe('linearFactor and constantFactor', () => {
  it("are transformers'", () => {
    const factors = [0, 1, 4, 5, 14, 15, 16].map((step) => linearFactor(step, { warmupSteps: 4, totalSteps: 15 }));
    expectClose(factors, [0, 0.25, 1, 10 / 11, 1 / 11, 0, 0], { absolute: 1e-15, relative: 0 });
    expect(linearFactor(0, { warmupSteps: 0, totalSteps: 10 })).toBe(1);
    expect([0, 1, 4, 100].map((step) => constantFactor(step, { warmupSteps: 4 }))).toEqual([0, 0.25, 1, 1]);
    expect(constantFactor(0, { warmupSteps: 0 })).toBe(1);
  });
});

describe('GradScaler', () => {
  it("does what PyTorch's does, kept and read again at every step", () => {
    const { init_scale: start, steps, ...rule } = golden.grad_scaler_by_rule;
    const options = {
      growthFactor: rule.growth_factor,
      backoffFactor: rule.backoff_factor,
      growthInterval: rule.growth_interval,
    };
    let state: number | GradScalerState = start;
    for (const { finite, scale_after: scale } of steps) {
      const scaler: GradScaler = new GradScaler(state, options);
      scaler.stepped(finite);
      expect(scaler.state.scale).toBe(scale);
      state = kept(scaler.state);
    }
    expect(new GradScaler().state).toEqual({ scale: 65536, finite: 0 });
  });
});
