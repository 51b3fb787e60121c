/** The worker of the page: features, network and search run here, and what the page shows of them besides. */
import {
  OnlineRecognizer,
  SessionManager,
  parseKeywords,
  serveRecognizer,
  type Waveform,
  type WorkerModel,
  type WorkerLoadOptions,
  type WorkerVerbs,
} from 'rill-asr';
import { timeStep, type EngineTime, type TimingWanted } from './timing.ts';

/** Copies of one recording, each in a session of its own. */
export interface CrowdReport {
  audioSeconds: number;
  wallSeconds: number;
}

const PIECE_SECONDS = 0.5;

/** Runs copies of a recording, each in a session of its own, as fast as they go. */
async function crowd(
  { engine, model }: WorkerModel,
  count: number,
  audio: Waveform,
  options: WorkerLoadOptions,
): Promise<CrowdReport> {
  using recognizer = await OnlineRecognizer.create(engine, model, { ...options, maxStreams: count });
  const manager = new SessionManager(recognizer, { idleSeconds: Infinity });
  const start = performance.now();
  await Promise.all(Array.from({ length: count }, () => hearAll(manager, audio)));
  const audioSeconds = (count * audio.samples.length) / audio.sampleRate;
  return { audioSeconds, wallSeconds: (performance.now() - start) / 1000 };
}

/** One member of a crowd: a recording pushed in pieces, each as soon as there is room. */
async function hearAll(manager: SessionManager, { samples, sampleRate }: Waveform): Promise<void> {
  let end: (error?: Error) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    end = (error) => {
      if (error) {
        reject(error);
      } else {
        resolve();
      }
    };
  });
  const session = manager.create({
    onClose: (_, error) => {
      end(error);
    },
  });
  const piece = Math.ceil(PIECE_SECONDS * sampleRate);
  for (let at = 0; at < samples.length; at += piece) {
    await session.ready();
    session.push({ samples: samples.subarray(at, at + piece), sampleRate });
  }
  session.finish();
  await ended;
}

/** Destroys the GPU device, to show what happens when it is lost. The CPU cannot be lost. */
function loseDevice({ engine }: WorkerModel): void {
  engine.gpuDevice?.destroy();
}

/** Times a step of the loaded model on one of the engines, whichever is in use. */
function timeEngine({ engine, model }: WorkerModel, wanted: TimingWanted): Promise<EngineTime> {
  return timeStep(engine, model, wanted);
}

/** What is wrong with each line of a list of keywords, for this model; nothing where it is right. */
function checkKeywords({ model: { tokens } }: WorkerModel, lines: readonly string[]): string[] {
  return lines.map((line, i) => {
    try {
      if (tokens) {
        // Behind as many empty lines, so that it is called by its number.
        parseKeywords('\n'.repeat(i) + line, tokens);
      }
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });
}

/** The phrases that the model was taught. */
function phrases({ model: { tokens } }: WorkerModel): string[] {
  return tokens?.phraseIds.map((id) => tokens.text([id])) ?? [];
}

const verbs = { checkKeywords, crowd, loseDevice, phrases, timeEngine } as const satisfies WorkerVerbs;
export type DemoVerbs = typeof verbs;

serveRecognizer(verbs);
