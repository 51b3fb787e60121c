import type { Numbers } from '../../training/twins/numbers.ts';
import { padded } from '../harness.ts';

/** Rows of `width` elements as kernels have them: each padded to whole vec4s with zeros. */
export function paddedToVec4s(values: Numbers, width: number): Float64Array {
  const stride = padded(width);
  const rows = new Float64Array((values.length / width) * stride);
  for (let i = 0; i < values.length; i++) {
    rows[Math.floor(i / width) * stride + (i % width)] = values[i];
  }
  return rows;
}

/** What a kernel leaves in a buffer whose beginning is its own: the rest must stay as it was. */
export function overwritten(given: Numbers, own: Numbers, start = 0): Float64Array {
  const left = Float64Array.from(given);
  left.set(Float64Array.from(own), start);
  return left;
}

/** The same, where a kernel adds to what is there. */
export const addedTo = (given: Numbers, own: Numbers): Float64Array =>
  Float64Array.from(given, (value, k) => (k < own.length ? value + own[k] : value));

/** An input with a row behind its end, which nothing may read. */
export function guarded(values: Numbers, width: number): Float32Array<ArrayBuffer> {
  const buffer = new Float32Array(values.length + width).fill(NaN);
  buffer.set(Float32Array.from(values));
  return buffer;
}

/**
 * Frames of utterances as kernels have them, one frame of all utterances after the other.
 *
 * @param values (utterances, frames, width)
 */
export function frameByFrame(
  values: Numbers,
  { utterances, frames }: { utterances: number; frames: number },
): Float64Array {
  const width = values.length / utterances / frames;
  return Float64Array.from(values, (_, place) => {
    const [row, k] = [Math.floor(place / width), place % width];
    return values[((row % utterances) * frames + Math.floor(row / utterances)) * width + k];
  });
}

/**
 * Gates as kernels have them, those of a unit side by side.
 *
 * @param values (rows, 4 * units, width): all of i, then f, g and o
 */
export function byUnit(values: Numbers, units: number, width = 1): Float64Array {
  return Float64Array.from(values, (_, place) => {
    const [row, k] = [Math.floor(place / width), place % width];
    const [unit, gate] = [Math.floor(row / 4) % units, row % 4];
    const start = Math.floor(row / 4 / units) * 4 * units;
    return values[(start + gate * units + unit) * width + k];
  });
}
