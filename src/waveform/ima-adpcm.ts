/**
 * IMA ADPCM as WAV files have it (format 17): four bits a sample, each a step up or down from what was predicted. A block begins
 * with a sample of 16 bits, the step's index and an unused byte; two samples a byte follow, the low half first.
 */

/** Quantizer steps, and what each code does to their index. */
const STEPS = [
  7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
  130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
  1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
  7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
] as const;
const INDEX_CHANGES = [-1, -1, -1, -1, 2, 4, 6, 8] as const;
const HEADER_BYTES = 4;

const clamped = (value: number, least: number, most: number) => Math.max(least, Math.min(most, value));

/** Where a decoder stands: the last sample, of 16 bits, and the index of the next step. */
export interface AdpcmState {
  sample: number;
  index: number;
}

/** The state behind a code of four bits: a sign above three bits of the step. */
export function adpcmStep({ sample, index }: AdpcmState, code: number): AdpcmState {
  const step = STEPS[index];
  let difference = step >> 3;
  for (let bit = 0; bit < 3; bit++) {
    difference += (code >> bit) & 1 ? step >> (2 - bit) : 0;
  }
  return {
    sample: clamped(code & 8 ? sample - difference : sample + difference, -32768, 32767),
    index: clamped(index + INDEX_CHANGES[code & 7], 0, STEPS.length - 1),
  };
}

/**
 * Decodes blocks of one channel.
 *
 * @param blockAlign bytes of a block; the last one may be cut short
 * @returns (samples,) in [-1, 1]
 */
export function decodeImaAdpcm(bytes: Uint8Array, blockAlign: number): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blockSamples = 2 * (blockAlign - HEADER_BYTES) + 1;
  const samples = new Float32Array(Math.ceil(bytes.length / blockAlign) * blockSamples);
  let count = 0;
  for (let start = 0; start + HEADER_BYTES <= bytes.length; start += blockAlign) {
    let state: AdpcmState = {
      sample: view.getInt16(start, true),
      index: Math.min(view.getUint8(start + 2), STEPS.length - 1),
    };
    samples[count++] = state.sample / 32768;
    const end = Math.min(start + blockAlign, bytes.length);
    for (let at = start + HEADER_BYTES; at < end; at++) {
      for (const code of [bytes[at] & 15, bytes[at] >> 4]) {
        state = adpcmStep(state, code);
        samples[count++] = state.sample / 32768;
      }
    }
  }
  return samples.slice(0, count);
}
