import { vec4s } from '../webgpu/weights.ts';
import type { Mask } from './draws.ts';
import type { BatchSize } from './operations.ts';

/**
 * A dropout mask as dropout_mask.wgsl reads it: a bit for each element, eight vec4s to a word, rows frame by frame.
 *
 * @param mask (utterances, frames, width), utterance by utterance
 */
export function maskBits(mask: Mask, { utterances, frames }: BatchSize, width: number): Uint32Array<ArrayBuffer> {
  const rowVec4s = vec4s(width);
  const bits = new Uint32Array(Math.ceil((utterances * frames * rowVec4s) / 8));
  for (let n = 0; n < utterances; n++) {
    for (let t = 0; t < frames; t++) {
      const row = (t * utterances + n) * rowVec4s;
      for (let k = 0; k < width; k++) {
        if (mask[(n * frames + t) * width + k] > 0) {
          const place = row + (k >> 2);
          bits[place >> 3] |= 1 << (4 * (place & 7) + (k & 3));
        }
      }
    }
  }
  return bits;
}
