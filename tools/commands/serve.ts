import { availableParallelism } from 'node:os';
import { DEVICE_NAMES, type DeviceName } from '../../src/engine.ts';
import { RillError } from '../../src/errors.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import type { AdapterChoice } from '../../src/node/gpu.ts';
import {
  RedisCallStore,
  RillServer,
  canListen,
  parseTokens,
  type OpenEngine,
  type ServerOptions,
} from '../../src/server/index.ts';
import { readText } from '../files.ts';
import { note } from '../terminal.ts';
import {
  RUNTIME_OPTIONS,
  adapterChoice,
  amount,
  count,
  oneOf,
  parse,
  usageError,
  type Command,
  type Options,
} from './arguments.ts';
import { ENDPOINT_OPTIONS, readEndpointOptions } from './endpoint-options.ts';
import { SEARCH_OPTIONS, readSearchOptions } from './search-options.ts';

const usage = 'serve <model dir> [options]';

const DEFAULT_PORT = 6006;
const DEFAULT_VOSK_PORT = 2700;
const LARGEST_PORT = 65_535;
/** Devices that may be lost within a minute before a server goes on without the GPU. */
const MOST_LOSSES = 3;

/** More often is more work than the calls themselves. */
const LEAST_SAVE_SECONDS = 0.1;
/** A call that is silent is saved every ten seconds. */
const LEAST_KEEP_SECONDS = 60;
/** A call is saved so often at least before it would be forgotten. */
const LEAST_SAVES = 3;
const DEFAULT_KEEP_SECONDS = '600';
/** Where the address of a Redis may stand: it may have a password, which a command line shows to all of the machine. */
const REDIS_VARIABLE = 'RILL_REDIS';

const OPTIONS = {
  port: {
    type: 'string',
    value: 'N',
    help: 'for sherpa-onnx’s protocol and HTTP; 0 for a free one',
    otherwise: String(DEFAULT_PORT),
  },
  'vosk-port': {
    type: 'string',
    value: 'N|none',
    help: 'for vosk’s protocol',
    otherwise: `${DEFAULT_VOSK_PORT}, where that is free`,
  },
  host: { type: 'string', value: 'ADDRESS', help: 'the address to listen at', otherwise: 'all of the machine' },
  'token-file': {
    type: 'string',
    value: 'FILE',
    help: 'tokens, one a line, one of which a client must bring',
    otherwise: 'none: open to all',
  },
  'max-sessions': { type: 'string', value: 'N', help: 'clients at a time', otherwise: '100' },
  'max-message-bytes': { type: 'string', value: 'N', help: 'bytes of one message', otherwise: '4194304' },
  'max-body-bytes': { type: 'string', value: 'N', help: 'bytes of a recording that is posted', otherwise: '536870912' },
  'max-call-seconds': { type: 'string', value: 'N', help: 'seconds of audio in one call', otherwise: '14400' },
  'idle-seconds': {
    type: 'string',
    value: 'N',
    help: 'a client that sends nothing for so long is closed',
    otherwise: '30',
  },
  'drain-seconds': { type: 'string', value: 'N', help: 'how long open calls may go on after SIGTERM', otherwise: '30' },
  redis: {
    type: 'string',
    value: 'URL',
    help: 'a Redis for calls that go on at another server when this one is gone',
    otherwise: `the environment’s ${REDIS_VARIABLE}; else such calls are kept in this process`,
  },
  'save-seconds': { type: 'string', value: 'N', help: 'from one save of such a call to the next', otherwise: '2' },
  'keep-seconds': {
    type: 'string',
    value: 'N',
    help: 'how long such a call waits for its client',
    otherwise: DEFAULT_KEEP_SECONDS,
  },
  'log-text': { type: 'boolean', help: 'write down what was said, too' },
  chunk: {
    type: 'string',
    value: 'N',
    help: 'encoder frames of 40 ms in a step: more is less work, and words come later',
    otherwise: '4',
  },
  ...SEARCH_OPTIONS,
  ...ENDPOINT_OPTIONS,
  device: RUNTIME_OPTIONS.device,
  threads: { ...RUNTIME_OPTIONS.threads, otherwise: 'as many as the machine has' },
  adapter: RUNTIME_OPTIONS.adapter,
} as const satisfies Options;

type Values = ReturnType<typeof parse<typeof OPTIONS>>['values'];

/** What a command line asks for; calls are kept where it says, once all of it is known to be right. */
async function serverOptions(model: string, values: Values): Promise<ServerOptions & { callStore?: RedisCallStore }> {
  const command = { usage };
  const endpointRules = readEndpointOptions(command, values);
  const { method, options } = await readSearchOptions(command, values);
  const chunkFrames = count(command, 'chunk', values.chunk);
  const tokenFile = values['token-file'];
  return {
    model,
    openEngine: engineOpener(values),
    recognizer: {
      decodingMethod: method,
      ...options,
      endpointRules,
      ...(chunkFrames !== undefined && { chunkFrames }),
    },
    host: values.host,
    port: portNumber('port', values.port) ?? DEFAULT_PORT,
    tokens: tokenFile === undefined ? undefined : parseTokens(await readText(tokenFile)),
    limits: {
      maxSessions: count(command, 'max-sessions', values['max-sessions']),
      maxMessageBytes: count(command, 'max-message-bytes', values['max-message-bytes']),
      maxBodyBytes: count(command, 'max-body-bytes', values['max-body-bytes']),
      maxCallSeconds: amount(command, 'max-call-seconds', values['max-call-seconds']),
      idleSeconds: amount(command, 'idle-seconds', values['idle-seconds']),
      drainSeconds: amount(command, 'drain-seconds', values['drain-seconds']),
    },
    logText: values['log-text'],
    ...(await keepingOptions(values)),
  };
}

/** Seconds, so many at least. */
function seconds(name: string, text: string | undefined, least: number): number | undefined {
  const value = amount({ usage }, name, text);
  if (value !== undefined && value < least) {
    throw usageError(`--${name} ${text} (it must be at least ${least})`, { usage });
  }
  return value;
}

/** How calls with a name are kept. */
async function keepingOptions(values: Values) {
  const saveSeconds = seconds('save-seconds', values['save-seconds'], LEAST_SAVE_SECONDS);
  const least = Math.max(LEAST_KEEP_SECONDS, LEAST_SAVES * (saveSeconds ?? 0));
  const keepSeconds = seconds('keep-seconds', values['keep-seconds'] ?? DEFAULT_KEEP_SECONDS, least);
  const url = values.redis ?? (process.env[REDIS_VARIABLE] || undefined);
  const callStore = url === undefined ? undefined : await RedisCallStore.open(url, { expirySeconds: keepSeconds });
  return { saveSeconds, keepSeconds, callStore };
}

/** Opens the device that is asked for; where the GPU is lost again and again, and nobody insisted on it, the CPU. */
function engineOpener(values: Values): OpenEngine {
  const command = { usage };
  const adapter: AdapterChoice | undefined = adapterChoice(command, values.adapter);
  const device: DeviceName =
    oneOf(command, 'device', values.device, DEVICE_NAMES) ?? (adapter === undefined ? 'auto' : 'webgpu');
  const threads = count(command, 'threads', values.threads) ?? availableParallelism();
  return (losses) => {
    if (losses > MOST_LOSSES && device !== 'auto') {
      throw new RillError('device-lost', {
        got: `${losses} lost GPU devices within a minute`,
        expected: 'devices that stay',
        remedy: 'Serve fewer calls at a time, or --device auto, which goes on with the CPU.',
      });
    }
    return openNodeEngine({ device: losses > MOST_LOSSES ? 'cpu' : device, adapter, threads });
  };
}

function portNumber(name: string, text: string | undefined): number | undefined {
  const port = text?.trim() === '' ? NaN : Number(text);
  if (text !== undefined && !(Number.isInteger(port) && port >= 0 && port <= LARGEST_PORT)) {
    throw usageError(`--${name} ${text} (it must be a whole number up to ${LARGEST_PORT})`, { usage });
  }
  return text === undefined ? undefined : port;
}

/** With vosk's own port where it is free, unless another is asked for, or none. */
async function start(options: ServerOptions, voskPort: string | undefined): Promise<RillServer> {
  if (voskPort === 'none') {
    return RillServer.start(options);
  }
  const wanted = portNumber('vosk-port', voskPort);
  const isFree = wanted !== undefined || (await canListen(DEFAULT_VOSK_PORT, options.host));
  if (!isFree) {
    note(`port ${DEFAULT_VOSK_PORT} is taken: vosk's protocol is not spoken (--vosk-port N for another)`);
  }
  return RillServer.start({ ...options, voskPort: wanted ?? (isFree ? DEFAULT_VOSK_PORT : undefined) });
}

/** Until it has ended. */
async function run(server: RillServer): Promise<void> {
  note(`listening on ${server.port}${server.voskPort === undefined ? '' : `, vosk's protocol on ${server.voskPort}`}`);
  const stop = () => {
    // Once more, and nobody is waited for.
    process.once('SIGTERM', close).once('SIGINT', close);
    void server.drain();
  };
  const close = () => void server.close();
  process.once('SIGTERM', stop).once('SIGINT', stop);
  await server.ended;
}

export const serve: Command = {
  usage,
  summary: 'serve many calls: sherpa-onnx’s and vosk’s WebSocket protocols, recordings over HTTP, metrics',
  options: OPTIONS,
  example: 'serve weights/wake-words --port 6006 --token-file tokens.txt',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [model, ...others] = positionals;
    if (model === undefined || others.length > 0) {
      throw usageError(model === undefined ? 'no model folder' : `${positionals.length} model folders`, { usage });
    }
    const options = await serverOptions(model, values);
    try {
      await run(await start(options, values['vosk-port']));
    } finally {
      options.callStore?.dispose();
    }
    return 0;
  },
};
