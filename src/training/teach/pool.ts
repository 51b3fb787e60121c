import { Fbank } from '../../features/fbank.ts';
import type { Model } from '../../model/model.ts';
import { encodeBatch } from '../../encoder/batch.ts';
import type { Encoder } from '../../encoder/encoder.ts';
import type { Engine } from '../../encoder/engine.ts';
import { Randoms } from '../augment/randoms.ts';
import { SITES } from '../draws.ts';
import type { Target } from '../losses/targets.ts';
import { concatenated, stacked } from '../../waveform/arrays.ts';
import type { Materials } from './materials.ts';
import type { PoolCounts } from './recipe.ts';
import { SegmentMaker, type Segment } from './segments.ts';

/** A segment, as the layers that are trained take it in. */
export interface PoolEntry {
  /** (T', d_model) */
  hidden: Float32Array;
  /** Feature frames. */
  frames: number;
  target: Target;
}

/** Entries by their kind. */
export type Pool = Readonly<Record<keyof PoolCounts, readonly PoolEntry[]>>;

/** Segments that go through the trunk at once. */
const SEGMENTS_AT_ONCE = 12;

/** The embedding and the first layers of a model. */
const trunkOf = ({ sizes: { encoder }, config, weights }: Model, numEncoderLayers: number): Model => ({
  ...{ sizes: { encoder: { ...encoder, numEncoderLayers }, hasCtc: false }, config, weights },
});

/** What is still to be made of a pool. */
interface Job {
  kind: keyof PoolCounts;
  /** Its place in its kind. */
  index: number;
}

/**
 * Makes the pool: all that batches are drawn from, taken through the layers that are not trained once and for all. What is made
 * stays made when the device is lost in between.
 */
export class PoolMaker {
  readonly #model: Model;
  readonly #maker: SegmentMaker;
  readonly #fbank: Fbank;
  readonly #seed: number;
  readonly #token: number;
  readonly #jobs: readonly Job[];
  readonly #made: Record<keyof PoolCounts, PoolEntry[]> = { phrase: [], rehearsal: [], short: [], long: [] };
  #done = 0;

  /** @param token of the phrase */
  constructor(
    model: Model,
    materials: Materials,
    { seed, token, counts }: { seed: number; token: number; counts: PoolCounts },
  ) {
    this.#model = model;
    this.#maker = new SegmentMaker(materials, model.config);
    this.#fbank = new Fbank(model.config.features);
    this.#seed = seed;
    this.#token = token;
    const countOf = (kind: keyof PoolCounts) =>
      kind === 'rehearsal' && materials.rehearsal.length === 0 ? 0 : counts[kind];
    const jobsOf = (kind: keyof PoolCounts) => Array.from({ length: countOf(kind) }, (_, index) => ({ kind, index }));
    this.#jobs = [...jobsOf('phrase'), ...jobsOf('rehearsal'), ...jobsOf('short'), ...jobsOf('long')];
  }

  get total(): number {
    return this.#jobs.length;
  }

  get done(): number {
    return this.#done;
  }

  /** The whole, once all is made. */
  get pool(): Pool {
    return this.#made;
  }

  /**
   * Makes what is not made yet.
   *
   * @param engine what the layers run on
   * @param layers how many, the first ones, which are not trained; at least 1
   * @param onDone called after each group
   * @throws RillError `device-lost`, `gpu`, `shader`; what `onDone` throws
   */
  async make(engine: Engine, layers: number, onDone: () => void): Promise<void> {
    const groups = this.#groups();
    if (groups.length === 0) {
      return;
    }
    const encoder = await engine.createEncoder(trunkOf(this.#model, layers), {
      ...{ maxStreams: SEGMENTS_AT_ONCE, dtype: 'f32' },
    });
    try {
      for (const group of groups) {
        await this.#makeGroup(encoder, group);
        onDone();
      }
    } finally {
      encoder.dispose();
    }
  }

  async #makeGroup(encoder: Encoder, group: readonly Job[]): Promise<void> {
    const segments = group.map((job) => this.#segment(job));
    const each = segments.map((segment) => this.#features(segment));
    const lens = each.map(({ frames }) => frames);
    const features = stacked(each.map((own) => own.features));
    const { encoderOut, lengths, frames } = await encodeBatch(encoder, features, lens);
    const { dModel } = encoder.sizes;
    group.forEach(({ kind }, n) => {
      const start = n * frames * dModel;
      const hidden = encoderOut.slice(start, start + lengths[n] * dModel);
      this.#made[kind].push({ hidden, frames: lens[n], target: segments[n].target });
    });
    this.#done += group.length;
  }

  /** Jobs that are left, in groups of one kind. */
  #groups(): Job[][] {
    const groups: Job[][] = [];
    for (const job of this.#jobs.slice(this.#done)) {
      const last = groups.at(-1);
      if (last && last.length < SEGMENTS_AT_ONCE && last[0].kind === job.kind) {
        last.push(job);
      } else {
        groups.push([job]);
      }
    }
    return groups;
  }

  #segment({ kind, index }: Job): Segment {
    const randoms = (site: number) => new Randoms({ seed: this.#seed, microStep: index }, site, 0);
    switch (kind) {
      case 'phrase':
        return this.#maker.phrase(randoms(SITES.teachPhrase), this.#token);
      case 'rehearsal':
        return this.#maker.rehearsal(randoms(SITES.teachRehearsal));
      case 'short':
        return this.#maker.short(randoms(SITES.teachShort));
      case 'long':
        return this.#maker.long(randoms(SITES.teachLong), this.#token);
    }
  }

  #features({ samples }: Segment): { features: Float32Array; frames: number } {
    this.#fbank.reset();
    const features = concatenated([this.#fbank.accept(samples), this.#fbank.finish()]);
    return { features, frames: features.length / this.#model.config.features.numMelBins };
  }
}
