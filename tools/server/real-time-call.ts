/** A call in real time over vosk's protocol, whose replies tell what is decoded: how long after it was said. */
import { WebSocket } from 'ws';
import type { Waveform } from '../../src/waveform/waveform.ts';

/** As telephones and browsers send: ten messages a second. */
const PIECE_SECONDS = 0.1;
/** A chunk of 4 encoder frames; its features need so much audio more. */
const CHUNK_SECONDS = 0.16;
const AHEAD_SECONDS = 0.07;

/** Audio that is decoded, in whole chunks, where so much of it has come; in seconds. */
const decodedOf = (seconds: number) =>
  CHUNK_SECONDS * Math.max(0, Math.floor((seconds - AHEAD_SECONDS) / CHUNK_SECONDS));

/**
 * Speaks for a while, piece by piece, whether answers come or not.
 *
 * @param wave of which pieces are sent, from a place of its own, again and again
 * @param stop when to end, in milliseconds of `performance.now()`
 * @returns milliseconds from each piece that was sent to the reply behind which all of it is decoded
 */
export async function realTimeCall(port: number, wave: Waveform, start: number, stop: number): Promise<number[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.send(JSON.stringify({ config: { sample_rate: wave.sampleRate } }));
  const length = Math.round(PIECE_SECONDS * wave.sampleRate);
  const sentAt: number[] = [];
  const latencies: number[] = [];
  let replies = 0;
  const over = new Promise<void>((resolve, reject) => {
    socket.on('message', () => {
      replies++;
      const decoded = decodedOf(replies * PIECE_SECONDS);
      while (latencies.length < sentAt.length && (latencies.length + 1) * PIECE_SECONDS <= decoded + 1e-9) {
        latencies.push(performance.now() - sentAt[latencies.length]);
      }
      if (performance.now() >= stop) {
        socket.close();
      }
    });
    socket.once('close', () => {
      clearInterval(timer);
      resolve();
    });
    socket.once('error', reject);
  });
  let at = Math.floor(Math.random() * (wave.samples.length - length));
  const began = performance.now();
  const timer = setInterval(() => {
    while (began + 1000 * PIECE_SECONDS * sentAt.length <= performance.now() && performance.now() < stop) {
      at = at + length < wave.samples.length ? at : 0;
      socket.send(Int16Array.from(wave.samples.subarray(at, at + length), (sample) => 32_768 * sample));
      sentAt.push(performance.now());
      at += length;
    }
    if (performance.now() > stop + 1000) {
      socket.close();
    }
  }, 10);
  await over;
  // What is not decoded by the end has taken that long at least.
  const late = sentAt.slice(latencies.length, -5).map((sent) => performance.now() - sent);
  return [...latencies, ...late].slice(Math.floor((start - began) / 1000 / PIECE_SECONDS));
}
