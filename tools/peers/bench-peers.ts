/**
 * `npm run bench:peers`: Rill beside onnxruntime-web and TensorFlow.js, all in one page of a headless browser, on one
 * adapter, in turns. The page is cross-origin isolated, which WASM threads need.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { availableParallelism } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RillError } from '../../src/errors.ts';
import { openModel } from '../../src/model/model.ts';
import {
  RANDOM_OPTIONS,
  adapterChoice,
  bundledModel,
  chunkSizes,
  count,
  parse,
  randomNetwork,
  usageError,
} from '../commands/arguments.ts';
import { readModelFiles } from '../files.ts';
import { bundlePage, launchBrowser } from '../runtime/browser.ts';
import { noAdapter, type AdapterChoice } from '../../src/node/gpu.ts';
import { isSoftware } from '../../src/webgpu/device/context.ts';
import { asError, type PageMessage } from '../runtime/page-message.ts';
import { Progress, note, print, table } from '../terminal.ts';
import type { CompareOptions, Comparison, Figures, Peer } from './page.ts';

const command = {
  program: 'npm run bench:peers --',
  usage:
    '[model dir | --full-size | --random d=128,h=256,ff=512,layers=4] [--peers wasm,webgpu,tensorflow] [--chunks 1,4,8] [--threads N] [--rounds N] [--runtime chrome|firefox] [--adapter gpu|software] [--json]',
};
const PEERS: readonly Peer[] = ['wasm', 'webgpu', 'tensorflow'];
const BROWSERS = ['chrome', 'firefox'] as const;
type BrowserName = (typeof BROWSERS)[number];
const ONNX_RUNTIME = fileURLToPath(new URL('node_modules/onnxruntime-web/dist', import.meta.url));

/** onnxruntime-web is not bundled: it loads its WASM from beside its own script. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>Rill and its peers</title>
<script type="importmap">{ "imports": { "onnxruntime-web/": "/onnxruntime-web/" } }</script>
<script type="module" src="page.js"></script>`;
const FILE_TYPES: Readonly<Record<string, string>> = { '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves the page, its options, the files of onnxruntime-web and those of the model folder. */
async function serve(script: string, folder: string, options: CompareOptions): Promise<Server> {
  const made: Readonly<Record<string, readonly [type: string, content: string]>> = {
    '/': ['text/html', PAGE],
    '/page.js': ['text/javascript', script],
    '/options': ['application/json', JSON.stringify(options)],
  };
  const folders: Readonly<Record<string, string>> = { '/onnxruntime-web': ONNX_RUNTIME, '/model': folder };
  const find = async (path: string) => {
    if (Object.hasOwn(made, path)) {
      return made[path];
    }
    const file = await readFile(join(folders[dirname(path)], basename(path)));
    return [FILE_TYPES[extname(path)] ?? 'application/octet-stream', file] as const;
  };
  const server = createServer((request, response) => {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    find(request.url ?? '/').then(
      ([type, content]) => response.setHeader('Content-Type', type).end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

interface Outcome extends Comparison {
  adapter: string;
  browser: string;
}

/** Opens the page, which starts by itself, and waits for what it has found. */
async function runPage(
  folder: string,
  options: CompareOptions,
  name: BrowserName,
  choice?: AdapterChoice,
): Promise<Outcome> {
  const script = await bundlePage(new URL('page.ts', import.meta.url), [/^onnxruntime-web/]);
  const server = await serve(script, folder, options);
  const progress = new Progress('measuring');
  const browser = await launchBrowser(name, choice).catch((error: unknown) => {
    server.close();
    throw error;
  });
  try {
    const version = await browser.version();
    const page = await browser.newPage();
    let listen: (message: PageMessage) => void = () => undefined;
    const found = new Promise<Outcome>((resolve, reject) => {
      let adapter = '';
      listen = (message) => {
        if (message.type === 'event') {
          progress.listen(message.event);
        } else if (message.type === 'done') {
          resolve({ adapter, browser: version, ...(message.output as Comparison) });
        } else if (message.type === 'failed') {
          reject(asError(message));
        } else {
          adapter = message.device.name;
          note(`${adapter}, in ${version}`);
          if (choice === 'gpu' && isSoftware(adapter)) {
            reject(noAdapter(`only ${adapter}`));
          }
        }
      };
      page.on('pageerror', reject);
      page.on('error', reject);
      browser.once('disconnected', () => {
        reject(new Error('the browser ended'));
      });
    });
    await page.exposeFunction('post', (message: PageMessage) => {
      listen(message);
    });
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const [outcome] = await Promise.all([found, page.goto(`http://127.0.0.1:${port}/`)]);
    return outcome;
  } finally {
    progress.end();
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

function row({ name, times, largestDifference }: Figures): string[] {
  const figures = times
    ? [times.ratio.toFixed(2), times.realTimeFactor.toFixed(3), ...[times.medianMs, times.p10Ms, times.p90Ms].map(ms)]
    : ['–', '–', '–', '–', '–'];
  return [name, ...figures, largestDifference?.toExponential(1) ?? '–', String(times?.steps ?? '–')];
}

const ms = (value: number) => value.toFixed(2);

function report({ chunks }: Comparison): string {
  const heads = ['time / Rill’s', 'RTF', 'median ms', 'p10', 'p90', 'difference', 'steps'];
  return chunks
    .map(({ chunkFrames, contenders }) => {
      const title = `${chunkFrames} encoder frame${chunkFrames === 1 ? '' : 's'} a chunk`;
      const problems = contenders.flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : []));
      return [table([[title, ...heads], ...contenders.map(row)]), ...problems].join('\n');
    })
    .join('\n\n');
}

async function main(args: string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) {
    print(
      `${command.program} ${command.usage}\n  time Rill beside onnxruntime-web and TensorFlow.js, in turns in one page`,
    );
    return;
  }
  const { values, positionals } = parse(command, args, {
    ...RANDOM_OPTIONS,
    peers: { type: 'string' },
    chunks: { type: 'string', default: '1,4,8' },
    threads: { type: 'string' },
    rounds: { type: 'string', default: '8' },
    runtime: { type: 'string', default: 'chrome' },
    adapter: { type: 'string' },
    json: { type: 'boolean' },
  });
  if (positionals.length > 1) {
    throw usageError(`${positionals.length} model folders`, command);
  }
  const peers = values.peers?.split(',') ?? [...PEERS];
  const unknown = peers.find((peer) => !PEERS.some((each) => each === peer));
  if (unknown !== undefined) {
    throw usageError(`--peers ${values.peers} (they must be of ${PEERS.join(', ')})`, command);
  }
  const browser = BROWSERS.find((name) => name === values.runtime);
  if (!browser) {
    throw usageError(`--runtime ${values.runtime} (it must be ${BROWSERS.join(' or ')})`, command);
  }
  const random = randomNetwork(command, values);
  if (random !== undefined && positionals.length > 0) {
    throw usageError('a model folder and a random network', command);
  }
  const options: CompareOptions = {
    random,
    peers: PEERS.filter((peer) => peers.includes(peer)),
    chunkFrames: chunkSizes(command, values.chunks),
    threads: count(command, 'threads', values.threads) ?? availableParallelism(),
    rounds: count(command, 'rounds', values.rounds) ?? 1,
  };
  if (!existsSync(ONNX_RUNTIME)) {
    throw new RillError('bad-argument', {
      got: 'no tools/peers/node_modules',
      expected: 'the packages of the peers',
      remedy: 'Start it with npm run bench:peers, which installs them.',
    });
  }
  const [folder = bundledModel(command)] = positionals;
  if (!options.random) {
    openModel(await readModelFiles(folder));
  }
  const outcome = await runPage(folder, options, browser, adapterChoice(command, values.adapter));
  note(`onnxruntime-web ${outcome.versions.onnxRuntime}, TensorFlow.js ${outcome.versions.tensorFlow}`);
  print(values.json ? JSON.stringify(outcome) : report(outcome));
  const wrong = outcome.chunks.flatMap(({ contenders }) => contenders.filter(({ problem }) => problem));
  if (wrong.length > 0) {
    throw new RillError('gpu', {
      got: `${wrong.length} comparison${wrong.length === 1 ? '' : 's'} without a figure (${wrong[0].name}: ${wrong[0].problem})`,
      expected: 'the same output of all, and no failure',
      remedy: 'Leave that peer or chunk size out; if all differ, run npm test.',
    });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  note(`bench:peers: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
