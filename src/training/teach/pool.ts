import { Fbank } from '../../features/fbank.ts';
import type { Model } from '../../model/model.ts';
import { encoderFrames } from '../../model/sizes.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import { Randoms } from '../augment/randoms.ts';
import { SITES } from '../draws.ts';
import type { Target } from '../losses/loss.ts';
import { Trunk } from '../trunk.ts';
import type { Materials } from './materials.ts';
import { POOL, type PoolCounts } from './recipe.ts';
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
  readonly #seed: number;
  readonly #token: number;
  readonly #jobs: readonly Job[];
  readonly #made: Record<keyof PoolCounts, PoolEntry[]> = { phrase: [], rehearsal: [], short: [], long: [] };
  #done = 0;

  /** @param token of the phrase */
  constructor(model: Model, materials: Materials, { seed, token }: { seed: number; token: number }) {
    this.#model = model;
    this.#maker = new SegmentMaker(materials, model.config);
    this.#seed = seed;
    this.#token = token;
    const counts = { ...POOL, rehearsal: materials.rehearsal.length > 0 ? POOL.rehearsal : 0 };
    const jobsOf = (kind: keyof PoolCounts) => Array.from({ length: counts[kind] }, (_, index) => ({ kind, index }));
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
   * @param layers of the trunk
   * @param onDone called after each group
   * @throws RillError `device-lost`, `gpu`, `shader`; what `onDone` throws
   */
  async make(context: GpuContext, layers: number, onDone: () => void): Promise<void> {
    const groups = this.#groups();
    if (groups.length === 0) {
      return;
    }
    // Groups are of one length each, the longest ones last.
    const frames = encoderFrames(this.#features(this.#segment(groups[groups.length - 1][0])).frames);
    const trunk = await Trunk.create(context, this.#model, { utterances: SEGMENTS_AT_ONCE, frames }, layers);
    try {
      for (const group of groups) {
        await this.#makeGroup(trunk, group);
        onDone();
      }
    } finally {
      trunk.dispose();
    }
  }

  async #makeGroup(trunk: Trunk, group: readonly Job[]): Promise<void> {
    const segments = group.map((job) => this.#segment(job));
    const each = segments.map((segment) => this.#features(segment));
    const lens = each.map(({ frames }) => frames);
    const length = Math.max(...each.map(({ features }) => features.length));
    const features = new Float32Array(group.length * length);
    each.forEach((own, n) => {
      features.set(own.features, n * length);
    });
    const hidden = await trunk.run({ features, lens });
    group.forEach(({ kind }, n) => {
      this.#made[kind].push({ hidden: hidden[n], frames: lens[n], target: segments[n].target });
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
        return this.#maker.long(randoms(SITES.teachLong));
    }
  }

  #features({ samples }: Segment): { features: Float32Array; frames: number } {
    const { features: options } = this.#model.config;
    const fbank = new Fbank(options);
    const parts = [fbank.accept(samples), fbank.finish()];
    const features = new Float32Array(parts[0].length + parts[1].length);
    features.set(parts[0]);
    features.set(parts[1], parts[0].length);
    return { features, frames: features.length / options.numMelBins };
  }
}
