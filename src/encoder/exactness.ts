import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import { encodeBatch } from './batch.ts';
import type { Encoder } from './encoder.ts';
import { madeUpFeatures } from './timing.ts';

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
export async function isExact(encoder: Encoder): Promise<boolean> {
  const { capacity, freeLanes, sizes } = encoder;
  const rows = SUBSAMPLING_FACTOR * FRAMES + CONTEXT_FRAMES;
  const most = 1 + Math.max(0, Math.min(NEIGHBOURS, freeLanes - 1));
  const features = madeUpFeatures(most * rows * sizes.numFeatures);
  /** Output and states of the first of so many streams, in chunks of so many frames. */
  const hear = async (streams: number, chunkFrames: number) => {
    const input = features.subarray(0, streams * rows * sizes.numFeatures);
    const { encoderOut, states } = await encodeBatch(encoder, input, Array<number>(streams).fill(rows), {
      chunkFrames,
    });
    return [encoderOut.subarray(0, FRAMES * sizes.dModel), states[0].h, states[0].c];
  };
  const alone = await hear(1, 1);
  const inChunks = await hear(1, capacity.maxFrames);
  const among = await hear(most, Math.min(4, capacity.maxFrames));
  return [inChunks, among].every((heard) => heard.every((values, i) => sameBytes(values, alone[i])));
}

/** @internal Whether two arrays are the same to the bit. */
export function sameBytes(a: Float32Array, b: Float32Array): boolean {
  const words = ({ buffer, byteOffset, length }: Float32Array) => new Uint32Array(buffer, byteOffset, length);
  const others = words(b);
  return a.length === b.length && words(a).every((word, k) => word === others[k]);
}
