import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import type { RnnEncoder } from './encoder.ts';
import type { EncoderState } from './state.ts';
import { ENCODER_OUT } from './workspace.ts';

/** Encoder frames that are compared, and streams beside the one they are of. */
const FRAMES = 16;
const NEIGHBOURS = 15;

/**
 * Whether a stream's bytes on this device depend neither on its chunks nor on its neighbours: the same features are run
 * frame by frame, in the longest chunks, and beside other streams, and compared to the bit, outputs and states. Rill's
 * kernels fix the order of every sum, but WGSL leaves compilers a little freedom (ARCHITECTURE.md, Why the bytes never
 * change); this tells whether one makes use of it.
 *
 * @throws RillError `busy` without a free slot, `device-lost`, `gpu`.
 */
export async function isExact(encoder: RnnEncoder): Promise<boolean> {
  const { maxFrames } = encoder.capacity;
  const alone = await hear(encoder, 1, 0);
  const inChunks = await hear(encoder, maxFrames, 0);
  const among = await hear(encoder, Math.min(4, maxFrames), Math.min(NEIGHBOURS, encoder.freeLanes - 1));
  return [inChunks, among].every((heard) => heard.every((values, i) => sameBytes(values, alone[i])));
}

/** Output and states of one stream in chunks of so many frames, beside others that hear something else. */
async function hear(encoder: RnnEncoder, chunk: number, neighbours: number): Promise<Float32Array[]> {
  const { numFeatures } = encoder.sizes;
  const states: EncoderState[] = [];
  const outputs: Float32Array[] = [];
  try {
    while (states.length <= neighbours) {
      states.push(encoder.createState());
    }
    for (let at = 0; at < FRAMES; at += chunk) {
      const frames = Math.min(chunk, FRAMES - at);
      const skipped = at === 0 ? 0 : CONTEXT_FRAMES;
      const start = (SUBSAMPLING_FACTOR * at + skipped) * numFeatures;
      const stop = (SUBSAMPLING_FACTOR * (at + frames) + CONTEXT_FRAMES) * numFeatures;
      const inputs = states.map((state, lane) => {
        // Log-mel energies of no sound in particular, another one in each lane.
        const values = Float32Array.from({ length: stop - start }, (_, i) => 4 * Math.sin((start + i) ** 2 + lane) - 8);
        return { state, features: values };
      });
      const [result] = await encoder.step(inputs);
      outputs.push(result.outputs[ENCODER_OUT]);
    }
    const { h, c } = await states[0].read();
    return [joined(outputs), h, c];
  } finally {
    states.forEach((state) => {
      state.dispose();
    });
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}

/** @internal Whether two arrays are the same to the bit. */
export function sameBytes(a: Float32Array, b: Float32Array): boolean {
  const words = ({ buffer, byteOffset, length }: Float32Array) => new Uint32Array(buffer, byteOffset, length);
  const others = words(b);
  return a.length === b.length && words(a).every((word, k) => word === others[k]);
}
