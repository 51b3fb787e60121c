import { describe, expect, it } from 'vitest';
import { Company } from '../../../src/server/corpus/company.ts';
import { Crashes } from '../../../src/server/corpus/crashes.ts';

const NONE = { count: 0, alone: 0 };

describe('Crashes', () => {
  /** What the next worker makes of a job that was lost while these files were under way. */
  const after = (job: Parameters<typeof Crashes.of>[0], underWay: readonly number[], isAlone: boolean) => ({
    progress: Crashes.of(job, NONE).before(underWay, isAlone),
    stalledCounter: job.stalledCounter + 1,
  });
  const fresh = { progress: 0, stalledCounter: 0 };

  it('counts workers that have ended with files under way, and those with nothing beside them', () => {
    expect(Crashes.of(fresh, NONE)).toMatchObject({ count: 0, alone: 0, underWay: [] });
    const once = after(fresh, [3, 4], false);
    expect(Crashes.of(once, NONE)).toMatchObject({ count: 1, alone: 0, underWay: [3, 4] });
    expect(Crashes.of(after(once, [4], true), NONE)).toMatchObject({ count: 2, alone: 1, underWay: [4] });
  });

  it('counts none that had not begun, that failed without ending, or that only stood still', () => {
    expect(Crashes.of(after(fresh, [], true), NONE)).toMatchObject({ count: 0, alone: 0 });
    expect(Crashes.of({ ...after(fresh, [1], true), stalledCounter: 0 }, NONE)).toMatchObject({ count: 0, alone: 0 });
    expect(Crashes.of(after(fresh, [1], true), { count: 1, alone: 1 })).toMatchObject({ count: 0, alone: 0 });
  });
});

describe('Company', () => {
  it('lets those who want to be alone wait for all before them, and all behind them wait', async () => {
    const company = new Company();
    const order: string[] = [];
    const visit = async (name: string, isAlone: boolean) => {
      const leave = await company.enter(isAlone);
      order.push(`${name} in`);
      await Promise.resolve();
      await Promise.resolve();
      order.push(`${name} out`);
      leave();
    };
    await Promise.all([visit('a', false), visit('b', false), visit('c', true), visit('d', true), visit('e', false)]);
    expect(order).toEqual(['a in', 'b in', 'a out', 'b out', 'c in', 'c out', 'd in', 'd out', 'e in', 'e out']);
  });
});
