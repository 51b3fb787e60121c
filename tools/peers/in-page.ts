import type { AdapterChoice } from '../../src/node/gpu.ts';
import type { Measured, Wanted } from './bench-peers.ts';
import type { Comparison } from './compare.ts';
import { IN_PAGE, NAMES, YARDSTICKS, type PageWord } from './lineup.ts';
import type { Loaded } from './load.ts';
import { loadSection, problemsOf, stepSections, type LoadFigures, type Section } from './report.ts';
import type { PageJob } from './page.ts';
import { PageRunner } from './run-page.ts';

/** Who is loaded in pages of its own. */
const LOADED: readonly PageWord[] = ['rill-f32', 'rill-int8', 'wasm-1'];
const FRESH_PAGES = 5;

/** Steps in one page, then loads in new pages of the same browser. */
export async function measureInPage(
  { folder, random, parts, who, sizes, rounds }: Wanted,
  browser: 'chrome' | 'firefox',
  adapter: AdapterChoice | undefined,
): Promise<Measured> {
  const taking = IN_PAGE.filter((word) => who.has(word));
  const runner = await PageRunner.open(browser, { script: new URL('page.ts', import.meta.url), folder }, adapter);
  const about = [runner.browserVersion];
  const sections: Section[] = [];
  const problems: string[] = [];
  const json: { steps?: Comparison; loads?: LoadFigures[] } = {};
  try {
    if (parts.has('steps')) {
      const outcome = await runner.run({ what: 'steps', random, who: taking, sizes, rounds } satisfies PageJob);
      // The page's own word: it runs this project's code.
      json.steps = outcome.output as Comparison;
      about.push(outcome.device, ...Object.entries(json.steps.versions).map((version) => version.join(' ')));
      sections.push(...stepSections(json.steps, NAMES[YARDSTICKS.page]));
      problems.push(...problemsOf(json.steps));
    }
    if (parts.has('load') && !random) {
      json.loads = await measureLoads(
        runner,
        taking.filter((word) => LOADED.includes(word)),
      );
      sections.push(loadSection('From the model’s bytes to the first result of 4 frames, in new pages', json.loads));
    }
  } finally {
    await runner.close();
  }
  return { sections, json, problems, about: about.join(', ') };
}

async function measureLoads(runner: PageRunner, who: readonly PageWord[]): Promise<LoadFigures[]> {
  const figures = who.map((word): LoadFigures => ({ name: NAMES[word], loadMs: [], memory: {} }));
  for (let n = 0; n < FRESH_PAGES; n++) {
    for (const [i, word] of who.entries()) {
      const { output } = await runner.run({ what: 'load', who: word } satisfies PageJob);
      const { loadMs, memory } = output as Loaded;
      figures[i].loadMs.push(loadMs);
      figures[i].memory = memory;
    }
  }
  return figures;
}
