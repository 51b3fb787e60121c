import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openModel } from '../../src/model/model.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { readInput, readModelFiles } from '../files.ts';
import { randomModel } from '../runtime/random-model.ts';
import { Progress } from '../terminal.ts';
import type { Measured, Wanted } from './bench-peers.ts';
import { compareSteps, type Comparison } from './compare.ts';
import { hearInTurns, type HeardFigures } from './end-to-end.ts';
import { IN_NODE, NAMES, YARDSTICKS, type NodeWord } from './lineup.ts';
import type { LoadedProcess } from './load-process.ts';
import { nodeCreators, onnxRuntimeVersion } from './node-contenders.ts';
import {
  heardSections,
  loadSection,
  problemsOf,
  stageSection,
  stepSections,
  type LoadFigures,
  type Section,
} from './report.ts';
import { measureStages, type StageFigures } from './stages.ts';

/** The recording that is heard, of the model folder. */
const RECORDING = 'samples/stream.wav';
const FRESH_PROCESSES = 5;

/** Steps, samples to text and stages in this process, loads in processes of their own. */
export async function measureInNode({ folder, random, parts, who, sizes, rounds }: Wanted): Promise<Measured> {
  const taking = IN_NODE.filter((word) => who.has(word));
  const progress = new Progress('measuring');
  const sections: Section[] = [];
  const problems: string[] = [];
  const json: { steps?: Comparison; loads?: LoadFigures[]; heard?: HeardFigures[]; stages?: StageFigures[] } = {};
  const model = random ? randomModel(random) : openModel(await readModelFiles(folder));
  if (parts.has('steps')) {
    const settings = {
      rounds,
      reportsLate: false,
      onProgress: async (done: number, total: number) => {
        progress.update(done, total);
      },
    };
    const compared = await compareSteps(model, taking, nodeCreators(), sizes, settings);
    json.steps = { versions: {}, ...compared };
    sections.push(...stepSections(json.steps, NAMES[YARDSTICKS.node]));
    problems.push(...problemsOf(json.steps));
  }
  if (parts.has('load')) {
    const source = random ? JSON.stringify(random) : folder;
    json.loads = await measureLoads(taking, source, random ? 1 : FRESH_PROCESSES);
    const title =
      'From the model’s bytes to the first result of 4 frames, in new processes; memory after 20 more steps';
    sections.push(loadSection(title, json.loads));
  }
  if (!random && (parts.has('text') || parts.has('stages'))) {
    const recording = readWav(await readInput(join(folder, RECORDING)));
    if (parts.has('text')) {
      json.heard = await hearInTurns(model, recording, rounds, (done, total) => {
        progress.update(done, total);
      });
      sections.push(...heardSections(json.heard));
      problems.push(...json.heard.flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : [])));
    }
    if (parts.has('stages')) {
      json.stages = await measureStages(model, recording, rounds);
      sections.push(stageSection(json.stages));
    }
  }
  progress.end();
  return { sections, json, problems, about: `Node ${process.versions.node}, onnxruntime-node ${onnxRuntimeVersion()}` };
}

/** @param source a model folder, or sizes of a network to make up, of which the time says nothing: it is spent on making it */
async function measureLoads(who: readonly NodeWord[], source: string, processes: number): Promise<LoadFigures[]> {
  const figures = who.map((word) => ({ name: NAMES[word], loadMs: [] as number[], memory: {}, rss: [] as number[] }));
  const script = fileURLToPath(new URL('load-process.ts', import.meta.url));
  const tsx = createRequire(import.meta.url).resolve('tsx/cli');
  for (let n = 0; n < processes; n++) {
    for (const [i, word] of who.entries()) {
      const { stdout } = await promisify(execFile)(process.execPath, [tsx, '--expose-gc', script, word, source]);
      const { loadMs, memory, rss } = JSON.parse(stdout) as LoadedProcess;
      if (!source.startsWith('{')) {
        figures[i].loadMs.push(loadMs);
      }
      figures[i].memory = memory;
      figures[i].rss.push(rss);
    }
  }
  return figures;
}
