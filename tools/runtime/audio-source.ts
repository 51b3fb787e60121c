/** Sound on its way from the process that reads it into the page that hears it: a piece for each request. */
import type { Waveform } from '../../src/waveform/waveform.ts';
import { pack, unpack } from './envelope.ts';
import type { Audio } from './jobs.ts';
import { asError, failure, type PageMessage } from './page-message.ts';

type Piece = { type: 'piece'; chunk: Waveform } | { type: 'end' } | Extract<PageMessage, { type: 'failed' }>;

/** The sender's side. */
export class AudioSource {
  readonly #pieces: Iterator<Waveform> | AsyncIterator<Waveform>;

  constructor(audio: Audio) {
    this.#pieces = Symbol.asyncIterator in audio ? audio[Symbol.asyncIterator]() : audio[Symbol.iterator]();
  }

  /** The next piece, or the end, or what reading failed with, as bytes. */
  async next(): Promise<Uint8Array> {
    try {
      const next = await this.#pieces.next();
      return pack(next.done ? { type: 'end' } : { type: 'piece', chunk: next.value });
    } catch (error) {
      return pack(failure(error));
    }
  }

  /** Nobody wants more of it. */
  close(): void {
    void this.#pieces.return?.();
  }
}

/**
 * The receiver's side.
 *
 * @param ask for the next piece
 */
export async function* receiveAudio(ask: () => Promise<Uint8Array<ArrayBuffer>>): AsyncGenerator<Waveform> {
  for (;;) {
    const piece = unpack(await ask()) as Piece;
    if (piece.type === 'failed') {
      throw asError(piece);
    }
    if (piece.type === 'end') {
      return;
    }
    yield piece.chunk;
  }
}
