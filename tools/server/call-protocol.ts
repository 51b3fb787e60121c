/** What the clients and servers of {@link file://./kill-servers.ts} say to one another, over a WebSocket. */
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import type { CallEnd } from '../../src/server/durable/call.ts';

/** A server's message, as JSON. */
export type ServerMessage =
  { acknowledged: number } | { number: number; result: RecognitionResult } | { closed: CallEnd; error?: string };

/** What a client says behind its last samples, as text. */
export const FINISH = 'finish';

const POSITION_BYTES = 8;

/** A piece of audio with its place in the call. */
export function encodePiece(samples: Float32Array, position: number): Uint8Array {
  const bytes = new Uint8Array(POSITION_BYTES + samples.byteLength);
  new DataView(bytes.buffer).setFloat64(0, position, true);
  bytes.set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), POSITION_BYTES);
  return bytes;
}

export function decodePiece(bytes: Uint8Array): { samples: Float32Array; position: number } {
  const copy = Uint8Array.from(bytes);
  const position = new DataView(copy.buffer).getFloat64(0, true);
  return { samples: new Float32Array(copy.buffer.slice(POSITION_BYTES)), position };
}
