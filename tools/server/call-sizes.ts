import { TokenTable } from '../../src/model/tokens.ts';
import type { Model } from '../../src/model/model.ts';
import { openModelFolder } from '../../src/node/files.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { writeCall } from '../../src/server/durable/stored-call.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { FULL_SIZE, bundledModel } from '../commands/arguments.ts';
import { readInput } from '../files.ts';
import { randomModel } from '../runtime/random-model.ts';

const bundledFolder = bundledModel({ usage: '' });

/** A call as it lies in a store, and what it takes a server to write it. */
export interface CallSize {
  name: string;
  state: Uint8Array;
  /** Milliseconds of a core. */
  cpuMs: number;
}

/** Seconds of audio that are heard before, and snapshots that are timed. */
const SECONDS = { small: 20, full: 1 };
const TIMED = 100;

/** Calls of the bundled model and of a network of the full size, on the CPU. */
export async function callSizes(): Promise<CallSize[]> {
  const full = randomModel(FULL_SIZE);
  const tokens = Array.from({ length: full.sizes.vocabSize ?? 0 }, (_, id) => (id === 0 ? '<blk> 0' : `t${id} ${id}`));
  return [
    await callSize('wake-words', await openModelFolder(bundledFolder), SECONDS.small),
    await callSize('full size', { ...full, tokens: TokenTable.parse(tokens.join('\n')) }, SECONDS.full),
  ];
}

async function callSize(name: string, model: Model, seconds: number): Promise<CallSize> {
  const recognizer = await OnlineRecognizer.create(new WasmEngine(), model, { maxStreams: 1, dtype: 'int8' });
  const { samples, sampleRate } = readWav(await readInput(`${bundledFolder}/samples/stream.wav`));
  const stream = recognizer.createStream();
  stream.acceptWaveform({ samples: samples.subarray(0, seconds * sampleRate), sampleRate });
  while (recognizer.isReady(stream)) {
    await recognizer.decode(stream);
  }
  const write = async () => {
    const { bytes, samples, results } = await recognizer.snapshot(stream);
    return writeCall({ sampleRate, samples, results, unheard: [], session: bytes });
  };
  const state = await write();
  const before = process.cpuUsage();
  for (let i = 0; i < TIMED; i++) {
    await write();
  }
  const { user, system } = process.cpuUsage(before);
  recognizer.dispose();
  return { name, state, cpuMs: (user + system) / 1000 / TIMED };
}
