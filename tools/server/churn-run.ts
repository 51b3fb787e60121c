/** Calls that come and go, and the memory of the server that hears them. */
import { WebSocket } from 'ws';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { bundledModel } from '../commands/arguments.ts';
import { readInput } from '../files.ts';
import { LoadedServer, type Usage } from './load-process.ts';

const CLIPS = ['alexa', 'athena', 'computer', 'jarvis', 'snowboy', 'view-glass'];
/** Of so many clients one is bad. */
const BAD_SHARE = 1 / 4;
const SAMPLES = 40;
const LONGEST_PAUSE_MS = 200;

/** How it stood at a moment. */
export interface ChurnSample extends Usage {
  minutes: number;
  /** Good calls that have ended, and heard what they should. */
  calls: number;
  bad: number;
}

/** What a churn is told. */
export interface ChurnOptions {
  minutes: number;
  /** Clients at a time. */
  clients: number;
  threads: number;
  onSample?: (sample: ChurnSample) => void;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** @throws Error for a call that did not hear what it hears alone */
export async function churn({ minutes, clients, threads, onSample }: ChurnOptions): Promise<ChurnSample[]> {
  const folder = bundledModel({ usage: '' });
  const server = await LoadedServer.start({ folder, threads, maxSessions: 4 * clients });
  const waves = await Promise.all(CLIPS.map(async (name) => readWav(await readInput(`${folder}/samples/${name}.wav`))));
  const expected: string[] = [];
  for (const wave of waves) {
    expected.push(await goodCall(server.port, wave));
  }
  const [begun, samples] = [performance.now(), [] as ChurnSample[]];
  const passed = () => (performance.now() - begun) / 60_000;
  let [calls, bad, going] = [0, 0, true];
  const caller = async () => {
    while (going && passed() < minutes) {
      const clip = Math.floor(Math.random() * waves.length);
      if (Math.random() < BAD_SHARE) {
        await badCall(Math.random() < 0.5 ? server.port : server.voskPort, waves[clip]);
        bad++;
      } else {
        const heard = await goodCall(server.port, waves[clip]);
        if (heard !== expected[clip]) {
          throw new Error(`${CLIPS[clip]}: heard ${heard}, alone ${expected[clip]}`);
        }
        calls++;
      }
      await pause(LONGEST_PAUSE_MS * Math.random());
    }
  };
  const sampling = async () => {
    while (going && passed() < minutes) {
      await pause((60_000 * minutes) / SAMPLES);
      const sample = { minutes: passed(), calls, bad, ...(await server.usage()) };
      samples.push(sample);
      onSample?.(sample);
    }
  };
  try {
    await Promise.all([sampling(), ...Array.from({ length: clients }, caller)]);
  } finally {
    going = false;
    await server.stop();
  }
  return samples;
}

async function connect(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve).once('close', resolve));
  return socket;
}

/** Speaks sherpa-onnx's protocol to its end; gives what was said. */
async function goodCall(port: number, { samples }: Waveform): Promise<string> {
  const socket = await connect(port);
  const texts: string[] = [];
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('message', (data: Buffer) => {
    const text = data.toString();
    const result = text.startsWith('{') ? (JSON.parse(text) as { text: string; is_final: boolean }) : undefined;
    if (result?.is_final && result.text !== '') {
      texts.push(result.text);
    }
  });
  const length = 400 + Math.floor(8000 * Math.random());
  for (let at = 0; at < samples.length; at += length) {
    socket.send(samples.slice(at, at + length));
    await pause(20 * Math.random());
  }
  socket.send('Done');
  await closed;
  return texts.join(' ');
}

/** Hangs up in the middle, sends what is no sound, or says what nobody understands. */
async function badCall(port: number, { samples }: Waveform): Promise<void> {
  const socket = await connect(port);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const what = Math.random();
  socket.send(what < 0.3 ? Buffer.alloc(4000, 0xff) : samples.slice(0, 8000));
  socket.send(what < 0.6 ? '{"nonsense": 1}' : samples.slice(8000, 9001));
  await pause(50 * Math.random());
  if (what < 0.5) {
    socket.terminate();
  } else {
    socket.close();
  }
  await closed;
}
