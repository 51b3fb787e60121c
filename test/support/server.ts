import { WebSocket } from 'ws';
import { openModel } from '../../src/model/model.ts';
import { RillServer, type ServerOptions } from '../../src/server/index.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { wakeWordsModel } from './fixtures.ts';

/** What a server wrote into its log. */
export interface Logged {
  level: 'info' | 'warn' | 'error';
  fields: Readonly<Record<string, unknown>>;
  message: string;
}

/** A server on the CPU at free ports, with the bundled model where there is no other, and its log. */
export async function startServer(options: Partial<ServerOptions> = {}) {
  const log: Logged[] = [];
  const write = (level: Logged['level']) => (fields: object, message: string) =>
    void log.push({ level, fields: { ...fields }, message });
  const server = await RillServer.start({
    model: openModel(await wakeWordsModel()),
    openEngine: async () => new WasmEngine(),
    host: '127.0.0.1',
    port: 0,
    voskPort: 0,
    log: { info: write('info'), warn: write('warn'), error: write('error') },
    ...options,
  });
  return { server, log, http: `http://127.0.0.1:${server.port}`, vosk: `ws://127.0.0.1:${server.voskPort}` };
}

/** What sherpa-onnx's protocol answers with. */
export interface SherpaMessage {
  text: string;
  tokens: string[];
  timestamps: number[];
  segment: number;
  start_time: number;
  is_final: boolean;
  is_eof: boolean;
}

/** A WebSocket as a test has it: texts in their order, one after the other, and the end. */
export class Client {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  readonly opened: Promise<void>;
  /** How it was closed, or refused. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiting: (() => void)[] = [];

  /** @param options of TLS */
  constructor(address: string, headers: Readonly<Record<string, string>> = {}, options: { ca?: string } = {}) {
    this.socket = new WebSocket(address, { headers, ...options });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', () => {
        resolve();
      });
      this.socket.once('unexpected-response', (_, response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => {
          reject(new Error(`${response.statusCode} ${Buffer.concat(pieces).toString()}`));
          this.socket.terminate();
        });
      });
      this.socket.once('error', reject);
    });
    this.opened.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => {
        this.#wake();
        resolve({ code, reason: reason.toString() });
      });
    });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data: Buffer) => {
      this.texts.push(data.toString());
      this.#wake();
    });
  }

  #wake(): void {
    this.#waiting.splice(0).forEach((resolve) => {
      resolve();
    });
  }

  /** Waits until something holds of the texts. */
  async until(holds: (texts: readonly string[]) => boolean): Promise<void> {
    while (!holds(this.texts)) {
      if (this.socket.readyState === WebSocket.CLOSED) {
        throw new Error(`closed after ${JSON.stringify(this.texts.slice(-3))}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The texts that are results of sherpa-onnx's protocol. */
  get results(): SherpaMessage[] {
    return this.texts.filter((text) => text.startsWith('{')).map((text) => JSON.parse(text) as SherpaMessage);
  }
}

/** Bytes of float32 samples. */
export const floatBytes = (samples: Float32Array) =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);

/** Bytes of samples as 16 bits. */
export const shortBytes = (samples: Float32Array) =>
  Buffer.from(Int16Array.from(samples, (sample) => Math.round(32_768 * sample)).buffer);

/** Pieces of a recording, of so many seconds each. */
export function* piecesOf({ samples, sampleRate }: Waveform, seconds: number): Generator<Float32Array> {
  const length = Math.round(seconds * sampleRate);
  for (let at = 0; at < samples.length; at += length) {
    yield samples.subarray(at, at + length);
  }
}

/** Speaks sherpa-onnx's protocol to its end; gives all results. */
export async function speakSherpa(
  address: string,
  wave: Waveform,
  { pieceSeconds = 0.1, pauseMs = 0, headers = {}, options = {} } = {},
): Promise<SherpaMessage[]> {
  const client = new Client(address, headers, options);
  await client.opened;
  for (const piece of piecesOf(wave, pieceSeconds)) {
    client.socket.send(floatBytes(piece));
    if (pauseMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  client.socket.send('Done');
  await client.until((texts) => texts.at(-1) === 'Done!');
  return client.results;
}

/** Speaks vosk's protocol in lockstep to its end; gives all replies. */
export async function speakVosk(
  address: string,
  wave: Waveform,
  { config = {}, pieceSeconds = 0.2, options = {} } = {},
): Promise<Record<string, unknown>[]> {
  const client = new Client(address, {}, options);
  await client.opened;
  client.socket.send(JSON.stringify({ config: { sample_rate: wave.sampleRate, ...config } }));
  let count = 0;
  const ask = async (message: Buffer | string) => {
    client.socket.send(message);
    count++;
    await client.until(({ length }) => length === count);
  };
  for (const piece of piecesOf(wave, pieceSeconds)) {
    await ask(shortBytes(piece));
  }
  await ask('{"eof" : 1}');
  await client.closed;
  return client.texts.map((text) => JSON.parse(text) as Record<string, unknown>);
}

/** All that comes. */
export async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) {
    all.push(item);
  }
  return all;
}
