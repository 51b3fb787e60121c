import { padded } from '../../src/webgpu/weights.ts';
import type { Numbers } from '../training/twins/numbers.ts';

/** How large a batch of rows is. */
export interface BatchRows {
  utterances: number;
  frames: number;
  width: number;
}

/** Where an element of (utterances, frames, width) lies among rows frame by frame, each padded to whole vec4s. */
const placeIn = ({ utterances, frames, width }: BatchRows, index: number) => {
  const [n, t, k] = [Math.floor(index / width / frames), Math.floor(index / width) % frames, index % width];
  return (t * utterances + n) * padded(width) + k;
};

/** Values (utterances, frames, width) as kernels have them; what pads is zero. */
export function byFrame(values: Numbers, size: BatchRows): Float64Array<ArrayBuffer> {
  const rows = new Float64Array(size.utterances * size.frames * padded(size.width));
  for (let index = 0; index < values.length; index++) {
    rows[placeIn(size, index)] = values[index];
  }
  return rows;
}

/** Rows of a kernel as (utterances, frames, width). */
export const byUtterance = (rows: Numbers, size: BatchRows): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: size.utterances * size.frames * size.width }, (_, index) => rows[placeIn(size, index)]);
