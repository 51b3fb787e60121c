import { WebSocket, type RawData } from 'ws';
import type { Waveform } from '../../src/waveform/waveform.ts';

/** Milliseconds of audio in one message, and from one attempt to reach a server to the next. */
const PIECE_MS = 100;
const RETRY_MS = 50;

/** What the server tells: which samples may be forgotten, or a result in sherpa-onnx's words with its number. */
type ServerMessage = { acknowledged: number } | ({ number: number } & Readonly<Record<string, unknown>>);

/** What a client has to say of its call when it is over. */
export interface CallAccount {
  /** Results by number. */
  results: ReadonlyMap<number, Readonly<Record<string, unknown>>>;
  /** Results that were told more than once, or out of their order. */
  repeated: number;
  /** Times that it had to connect again. */
  reconnections: number;
  /** Samples that it had to send again. */
  sentAgain: number;
}

/**
 * One caller: speaks at its speed whoever listens, keeps what is not acknowledged, and goes to the next server when one is
 * gone.
 */
export class CallClient {
  readonly #id: string;
  readonly #audio: Waveform;
  readonly #addresses: () => readonly string[];
  readonly #speed: number;
  readonly #results = new Map<number, Readonly<Record<string, unknown>>>();
  #last = 0;
  #repeated = 0;
  #connections = 0;
  #sentAgain = 0;
  /** Samples spoken, sent so far at the most, and sent in this connection; the last once it is known what to send. */
  #spoken = 0;
  #mostSent = 0;
  #sent: number | undefined;
  #hasFinished = false;
  #isOver = false;
  #socket: WebSocket | undefined;

  /**
   * @param addresses of the servers, the one to go to first in front
   * @param speed 1 for real time
   */
  constructor(id: string, audio: Waveform, addresses: () => readonly string[], speed: number) {
    this.#id = id;
    this.#audio = audio;
    this.#addresses = addresses;
    this.#speed = speed;
  }

  /** Part of the audio that was spoken. */
  get progress(): number {
    return this.#spoken / this.#audio.samples.length;
  }

  /** Speaks, until all that was said is heard. */
  async run(): Promise<CallAccount> {
    const speaking = setInterval(() => {
      this.#speak();
    }, PIECE_MS / this.#speed);
    try {
      for (let attempt = 0; !this.#isOver; attempt++) {
        const addresses = this.#addresses();
        await this.#connect(addresses[attempt % addresses.length]);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    } finally {
      clearInterval(speaking);
    }
    const { size } = this.#results;
    return {
      results: this.#results,
      repeated: this.#repeated,
      reconnections: size === 0 ? this.#connections : this.#connections - 1,
      sentAgain: this.#sentAgain,
    };
  }

  #speak(): void {
    const { samples, sampleRate } = this.#audio;
    this.#spoken = Math.min(samples.length, this.#spoken + Math.round((PIECE_MS / 1000) * sampleRate));
    this.#send();
  }

  /** All that was spoken and not sent in this connection. */
  #send(): void {
    const socket = this.#socket;
    if (this.#sent === undefined || socket?.readyState !== WebSocket.OPEN) {
      return;
    }
    const from = this.#sent;
    if (from < this.#spoken) {
      socket.send(this.#audio.samples.subarray(from, this.#spoken));
      this.#sentAgain += Math.max(0, this.#mostSent - from);
      this.#sent = this.#mostSent = this.#spoken;
    }
    if (this.#sent === this.#audio.samples.length && !this.#hasFinished) {
      this.#hasFinished = true;
      socket.send('Done');
    }
  }

  /** @returns when the connection has ended */
  async #connect(address: string): Promise<void> {
    const { sampleRate } = this.#audio;
    const socket = new WebSocket(`${address}/?call=${this.#id}&sample_rate=${sampleRate}&heard=${this.#last}`);
    this.#socket = socket;
    this.#sent = undefined;
    this.#hasFinished = false;
    socket.on('open', () => this.#connections++);
    socket.on('message', (data) => {
      this.#take(data);
    });
    await new Promise<void>((resolve) => {
      socket.on('close', () => {
        resolve();
      });
      // A server that is gone: the end of the connection follows.
      socket.on('error', () => undefined);
    });
  }

  #take(data: RawData): void {
    const text = (data as Buffer).toString();
    if (text === 'Done!') {
      this.#isOver = true;
      this.#socket?.send(JSON.stringify({ heard: this.#last }));
      return;
    }
    const message = JSON.parse(text) as ServerMessage;
    if ('number' in message) {
      const { number, ...result } = message;
      this.#repeated += number > this.#last ? 0 : 1;
      this.#last = Math.max(this.#last, number);
      this.#results.set(number, result);
    } else {
      // The first one of a connection says where to begin.
      this.#sent ??= message.acknowledged;
      this.#send();
    }
  }
}
