import { fileURLToPath } from 'node:url';
import { readModelFiles } from '../files.ts';
import type { BenchOutput, RandomSizes } from '../runtime/bench-job.ts';
import { Progress, print, table } from '../terminal.ts';
import { RUNTIME_OPTIONS, chunkSizes, parse, usageError, withRuntime, type Command } from './arguments.ts';

const usage =
  'bench [model dir] [--random d=512,h=1024,ff=2048,layers=12] [--chunks 1,2,4,8,16] [--seconds S] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]';

const KEYS: Readonly<Record<string, keyof RandomSizes>> = {
  d: 'dModel',
  h: 'rnnHiddenSize',
  ff: 'dimFeedforward',
  layers: 'numEncoderLayers',
};
const BUNDLED = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));
const FULL_SIZE: RandomSizes = { dModel: 512, rnnHiddenSize: 1024, dimFeedforward: 2048, numEncoderLayers: 12 };

function parseSizes(text: string): RandomSizes {
  const sizes = { ...FULL_SIZE };
  for (const pair of text.split(',').filter(Boolean)) {
    const [key, value] = pair.split('=');
    if (!Object.hasOwn(KEYS, key) || !(Number.isInteger(Number(value)) && Number(value) >= 1)) {
      throw usageError(`--random with ${JSON.stringify(pair)}`, { usage });
    }
    sizes[KEYS[key]] = Number(value);
  }
  return sizes;
}

function report(adapter: string, { sizes, parameters, loadMs, readGBps, chunks, memory }: BenchOutput): string {
  const rows = chunks.map((chunk) => [
    String(chunk.chunkFrames),
    chunk.medianMs.toFixed(2),
    chunk.p95Ms.toFixed(2),
    chunk.realTimeFactor.toFixed(3),
    String(chunk.dispatches),
    (chunk.weightBytes / 1e6).toFixed(1),
    chunk.weightGBps.toFixed(2),
    `${((100 * chunk.weightGBps) / readGBps).toFixed(0)} %`,
    String(chunk.steps),
  ]);
  const heads = ['frames', 'median ms', 'p95 ms', 'RTF', 'dispatches', 'weights MB', 'GB/s', 'of read', 'steps'];
  const parts = Object.entries(memory).filter(([, bytes]) => bytes > 0);
  return [
    `${adapter}: ${sizes.numEncoderLayers} layers of ${sizes.dModel}, hidden ${sizes.rnnHiddenSize}, feed-forward ${sizes.dimFeedforward};` +
      ` ${parameters.toLocaleString('en')} encoder parameters; loaded in ${(loadMs / 1000).toFixed(1)} s`,
    `read bandwidth of the adapter ${readGBps.toFixed(2)} GB/s`,
    `GPU memory in MB: ${parts.map(([part, bytes]) => `${part} ${(bytes / 1e6).toFixed(1)}`).join(', ')}`,
    table([heads, ...rows]),
  ].join('\n');
}

export const bench: Command = {
  usage,
  summary: 'time steps of one stream beside the adapter’s own read bandwidth',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      random: { type: 'string' },
      chunks: { type: 'string' },
      seconds: { type: 'string', default: '4' },
      json: { type: 'boolean' },
    });
    const seconds = Number(values.seconds);
    if (positionals.length > 1 || !(seconds >= 0 && seconds <= 3600)) {
      throw usageError(`${positionals.length} model folders, ${values.seconds} seconds`, { usage });
    }
    // Without a wish: the bundled model at all chunk sizes, then the full-size network at two of them.
    const chosen = positionals.length > 0 || values.random !== undefined;
    const bundled = chosen ? positionals[0] : BUNDLED;
    const random = values.random ?? (chosen ? undefined : '');
    await withRuntime({ usage }, values, async (runtime) => {
      const runs = [
        ...(bundled ? [{ model: await readModelFiles(bundled), chunks: '1,2,4,8,16' }] : []),
        ...(random === undefined ? [] : [{ model: parseSizes(random), chunks: '1,4' }]),
      ];
      for (const { model, chunks } of runs) {
        const progress = new Progress('measuring');
        const chunkFrames = chunkSizes({ usage }, values.chunks ?? chunks);
        const output = await runtime
          .run('bench', { model, chunkFrames, seconds }, progress.listen)
          .finally(() => progress.end());
        const json = { adapter: runtime.adapter, runtime: runtime.name, ...output };
        print(values.json ? JSON.stringify(json) : `${report(runtime.adapter, output)}\n`);
      }
    });
  },
};
